"""The members of a small archive, to be changed."""

import archives
import pytest


@pytest.fixture
def small(built):
    """Return the members of an archive of six pairs, to be changed."""
    return archives.members(built)
