"""Models need torch and torch_geometric, which warns of torch when it is imported."""

import warnings
from importlib.util import find_spec

if find_spec("torch_geometric"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_geometric.nn  # noqa: F401
else:
    collect_ignore_glob = ["test_*.py"]
