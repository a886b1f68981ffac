"""What tests of the experiments share; torch_geometric warns of torch when it is imported."""

import warnings
from importlib.util import find_spec

import pytest
from molecules_csv import table

if find_spec("torch_geometric"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_geometric.nn  # noqa: F401
else:
    collect_ignore = ["test_curves.py", "test_finetune.py"]


@pytest.fixture
def database(tmp_path):
    """Return what writes lines to ``moleculedata.csv``."""

    def write(*lines):
        path = tmp_path / "moleculedata.csv"
        path.write_bytes(lines[0] if isinstance(lines[0], bytes) else table(*lines))
        return path

    return write
