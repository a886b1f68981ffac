"""Two-body quantum systems: from DFTB+ output to a dataset that can be trusted and rebuilt."""

from twobody.errors import ParseError

__version__ = "0.1.0"

__all__ = ["ParseError", "__version__"]
