"""Readers of DFTB+ output: ``detailed.out``, ``geo_end.xyz`` and ``band.out``.

Text in, frozen dataclasses out. The layouts of DFTB+ 17.1 to 25.1 are accepted: everything is found
by its section header, its name or its column heading, never by its line number. What a legal file
of some version or kind of run does not contain is None; what it should contain and does not, or
contains in a form that is not legal, is a `ParseError` that names the line. REKS, delta-DFTB and
XLBOMD print layouts of their own, which are refused by name.

DFTB+ prints most quantities twice (hartree and eV, atomic units and debye, orbitals and their
sums). The second print is checked against the first, so that a damaged digit does not pass.

Thousands of pairs that are printed alike are read faster by `twobody.dftbplus.usual_layout`, which
the build tries first. What a reader accepts, checks or returns is repeated there.

Formats: DFTB+ sources, ``mainio.F90`` and ``formatout.F90`` of the tagged versions.
"""

from twobody.dftbplus.band_out import Levels, parse_band_out, read_band_out
from twobody.dftbplus.detailed_out import BOHR, DetailedOut, parse_detailed_out, read_detailed_out
from twobody.dftbplus.geo_end_xyz import Geometry, parse_geo_end_xyz, read_geo_end_xyz
from twobody.dftbplus.mulliken import POPULATION_TOLERANCE, Orbitals

__all__ = [
    "BOHR",
    "POPULATION_TOLERANCE",
    "DetailedOut",
    "Geometry",
    "Levels",
    "Orbitals",
    "parse_band_out",
    "parse_detailed_out",
    "parse_geo_end_xyz",
    "read_band_out",
    "read_detailed_out",
    "read_geo_end_xyz",
]
