"""Settings of a DFTB+ run, the ladder of settings for runs that fail, and their HSD text."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import hsd
from hsd import parser
from hsd.common import ATTRIB_SUFFIX, HSD_ATTRIB_SUFFIX

from twobody.elements import COVALENT_RADII
from twobody.errors import ParseError
from twobody.text import PathLike, read_text

PARSER_VERSION = 14
"""The input version of DFTB+ 24.1, which made the shipped data; later versions read it too."""

# Nodes that hold one of several methods: another method replaces the first instead of joining it.
_CHOICES = {
    *("geometry", "driver", "hamiltonian"),
    *("mixer", "slaterkosterfiles", "filling", "spinpolarisation"),
}

# How hsd tells what is wrong: error, first and last line, and the file if one was included.
_HSD_ERROR = re.compile(r"\((\d)\) between lines (\d+) - (\d+) in file '(.*)'")
_HSD_FAULTS = {
    parser.SYNTAX_ERROR: "a syntax error",
    parser.UNCLOSED_TAG_ERROR: "a block that is not closed",
    parser.UNCLOSED_ATTRIB_ERROR: "an attribute that is not closed",
    parser.UNCLOSED_QUOTATION_ERROR: "a quotation that is not closed",
    parser.ORPHAN_TEXT_ERROR: "text outside of any block",
}

_Tree = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides the pair and its parameters; by default as the shipped data."""

    start_factor: float = 1.0  # distance at the start, in units of the sum of the covalent radii
    temperature: float = 300.0  # electronic temperature of the Fermi filling [K]
    scc_tolerance: float = (
        1e-6  # largest difference of charges between two SCC cycles at the end [e]
    )
    max_force: float = 1e-4  # largest force component at the end [H/bohr]
    unpaired_electrons: float | None = None  # with spin polarisation (collinear); None without
    extra: str = ""  # HSD text that is merged into the input; where both have a node, it wins
    mixing: float = 0.05  # parameter of the Anderson mixer
    max_scc_iterations: int = 1000
    max_steps: int = 200  # of the geometry
    optimiser: str = "ConjugateGradient"  # DFTB+'s name of the driver


def ladder(settings: Settings) -> dict[str, Settings]:
    """Return the settings to try one after the other until a run converges, by what is new in them.

    Each rung keeps the changes of those before it. They stand in the order of how much they change
    the result: mixing does not at all, another optimiser and another starting distance may end in
    another minimum, and the temperature is part of what is computed.
    """
    mixing = replace(
        settings, mixing=settings.mixing / 5, max_scc_iterations=3 * settings.max_scc_iterations
    )
    optimiser = replace(mixing, optimiser="LBFGS", max_steps=5 * settings.max_steps)
    start = replace(optimiser, start_factor=1.15 * settings.start_factor)
    temperature = replace(start, temperature=max(1000.0, 3 * settings.temperature))
    return {
        "as given": settings,
        "mixing": mixing,
        "optimiser": optimiser,
        "start": start,
        "temperature": temperature,
    }


def start_distance(elements: tuple[str, str], settings: Settings) -> float:
    """Distance of the atoms at the start [Å], with six decimals."""
    return round(settings.start_factor * sum(COVALENT_RADII[symbol] for symbol in elements), 6)


def describe(elements: tuple[str, str], settings: Settings) -> str:
    """Name in one line what the ladder changes, and whether extra HSD may change it again."""
    words = (
        f"Anderson {settings.mixing:g} in {settings.max_scc_iterations} cycles, "
        f"{settings.optimiser} in {settings.max_steps} steps, {settings.temperature:g} K, "
        f"start at {start_distance(elements, settings):.3f} Å"
    )
    return f"{words}, then extra HSD" if settings.extra else words


def input_text(
    elements: tuple[str, str], shells: tuple[str, str], prefix: str, settings: Settings
) -> str:
    """Return the ``dftb_in.hsd`` that optimises the isolated dimer of `elements` along z.

    `shells` are the letters of the largest angular momenta; `prefix` is the path of the
    Slater-Koster files up to the first symbol, as seen from the folder of the run.
    """
    tree = _input_tree(elements, shells, prefix, settings)
    if not settings.extra:
        return str(hsd.dump_string(tree))
    lowered = {"lower_tag_names": True, "include_hsd_attribs": True}  # tags have no case in HSD
    merged = hsd.load_string(hsd.dump_string(tree), **lowered)
    _merge(merged, hsd.load_string(settings.extra, **lowered))
    return str(hsd.dump_string(merged, use_hsd_attribs=True))


def read_extra(path: PathLike) -> str:
    """Read an HSD file that is to be merged into every input.

    Raises
    ------
    ParseError
        It is not HSD.
    """
    text = read_text(path)
    try:
        hsd.load_string(text)
    except (hsd.HsdError, IndexError) as error:  # the latter for a bracket that closes nothing
        raise _hsd_error(path, str(error)) from error
    return text


def _hsd_error(path: PathLike, message: str) -> ParseError:
    match = _HSD_ERROR.search(message)
    if match is None:
        return ParseError(path, None, "HSD", _HSD_FAULTS[parser.SYNTAX_ERROR])
    error, first, last = map(int, match.groups()[:3])
    line = last if error == parser.SYNTAX_ERROR else first
    return ParseError(match[4] or path, line, "HSD", _HSD_FAULTS[error])


def _input_tree(
    elements: tuple[str, str], shells: tuple[str, str], prefix: str, settings: Settings
) -> _Tree:
    types = list(dict.fromkeys(elements))
    distance = start_distance(elements, settings)
    dftb: _Tree = {
        "SCC": True,
        "SCCTolerance": settings.scc_tolerance,
        "MaxSCCIterations": settings.max_scc_iterations,
        "Mixer": {"Anderson": {"MixingParameter": settings.mixing}},
        "Charge": 0.0,
        "MaxAngularMomentum": {
            element: f'"{shell}"' for element, shell in zip(elements, shells, strict=True)
        },
        "SlaterKosterFiles": {
            "Type2FileNames": {"Prefix": f'"{prefix}"', "Separator": '"-"', "Suffix": '".skf"'}
        },
        "Filling": {
            "Fermi": {"Temperature": settings.temperature, "Temperature" + ATTRIB_SUFFIX: "Kelvin"}
        },
    }
    if settings.unpaired_electrons is not None:
        dftb["SpinPolarisation"] = {"Colinear": {"UnpairedElectrons": settings.unpaired_electrons}}
    return {
        "Geometry": {
            "GenFormat": [
                [2, "C"],
                types,
                [1, 1, 0.0, 0.0, 0.0],
                [2, len(types), 0.0, 0.0, distance],
            ]
        },
        "Driver": {
            settings.optimiser: {
                "MovedAtoms": "1:-1",
                "MaxForceComponent": settings.max_force,
                "MaxSteps": settings.max_steps,
                "OutputPrefix": '"geo_end"',
            }
        },
        "Hamiltonian": {"DFTB": dftb},
        "Analysis": {"MullikenAnalysis": True},
        "Options": {"WriteDetailedOut": True},
        "ParserOptions": {"ParserVersion": PARSER_VERSION},
    }


def _merge(tree: _Tree, extra: _Tree) -> None:
    """Put the nodes of `extra` into `tree`; both have tags in lower case and HSD attributes."""
    for tag, value in extra.items():
        if tag.endswith((ATTRIB_SUFFIX, HSD_ATTRIB_SUFFIX)):
            continue
        old = tree.get(tag)
        if (
            isinstance(old, dict)
            and isinstance(value, dict)
            and (tag not in _CHOICES or old.keys() & value.keys())
        ):
            _merge(old, value)
            continue
        tree[tag] = value
        for suffix in (ATTRIB_SUFFIX, HSD_ATTRIB_SUFFIX):
            tree.pop(tag + suffix, None)
            if tag + suffix in extra:
                tree[tag + suffix] = extra[tag + suffix]
