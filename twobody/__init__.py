"""Two-body quantum systems: from DFTB+ output to a dataset that can be trusted and rebuilt."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from twobody.errors import ParseError

if TYPE_CHECKING:
    import pandas as pd

    from pytorch_dataset import TwoBodyDataset
    from pytorch_geometric_dataset import TwoBodyGraphDataset

__version__ = "0.1.0"

__all__ = ["ParseError", "TwoBodyDataset", "TwoBodyGraphDataset", "__version__", "load_labels"]

if not TYPE_CHECKING:  # a type checker would take any name for one of this module
    _MODULES = {
        "TwoBodyDataset": "pytorch_dataset",
        "TwoBodyGraphDataset": "pytorch_geometric_dataset",
    }

    def __getattr__(name: str) -> Any:
        """Hand on the datasets when they are asked for: they need PyTorch."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def load_labels() -> pd.DataFrame:
    """Return the labels of the 2,850 pairs that come with the package: a row a pair.

    The index are the pairs' names, A_B, the columns those of ``analysis/all_labels.csv``: float64,
    NaN where missing, int64 for counts and flags. `twobody.labels.LABELS` has their units and
    meanings.
    """
    import pandas as pd  # noqa: PLC0415 - the datasets do without

    from twobody.analysis import cells  # noqa: PLC0415
    from twobody.archive.layout import SHIPPED  # noqa: PLC0415
    from twobody.archive.reader import read  # noqa: PLC0415

    pairs = read(SHIPPED)
    columns = {name: cells(name, values) for name, values in pairs.label_columns().items()}
    return pd.DataFrame(columns, pd.Index(pairs.names, name="pair_name"))
