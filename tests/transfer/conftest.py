"""What tests of the experiments share."""

import pytest
from molecules_csv import table


@pytest.fixture
def database(tmp_path):
    """Return what writes lines to ``moleculedata.csv``."""

    def write(*lines):
        path = tmp_path / "moleculedata.csv"
        path.write_bytes(lines[0] if isinstance(lines[0], bytes) else table(*lines))
        return path

    return write
