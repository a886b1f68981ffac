"""A table of molecules in the database's format, all values invented."""

import csv
import io

from twobody.transfer.spectroscopy import COLUMNS

B_1 = 16.857629206  # cm^-1, of a mass of 1 u at 1 Å: hbar / (4 pi c u Å^2)


def line(molecule="HF", state=r"X $^1\Sigma^+$", mass=1.0, t_e=0, **cells):
    """Return the cells of a line; `omega`, `x`, `b`, `r`, `d0`, `ip` are empty unless given."""
    numbers = [cells.get(k, "") for k in ("omega", "x", "b")]
    others = [cells.get(k, "") for k in ("r", "d0", "ip")]
    return [molecule, state, mass, t_e, *numbers, "", 1.2, *others, "J. Physik, Köln", "MAY 1900"]


def table(*lines):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_MINIMAL, lineterminator="\n").writerows([COLUMNS, *lines])
    return text.getvalue().encode("latin-1")
