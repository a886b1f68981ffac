"""A small archive, and its members to be changed."""

import archives
import pytest


@pytest.fixture
def built(small_raw_data, tmp_path):
    """Build the archive of six pairs."""
    return archives.build(small_raw_data, tmp_path / "built" / "small.npz")


@pytest.fixture
def small(built):
    """Return the members of an archive of six pairs, to be changed."""
    return archives.members(built)
