"""Settings of a DFTB+ run, the ladder of settings for runs that fail, and their HSD text."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from string import Template
from typing import Any

import hsd
from hsd.common import ATTRIB_SUFFIX, HSD_ATTRIB_SUFFIX
from hsd.parser import SYNTAX_ERROR

from twobody.elements import COVALENT_RADII
from twobody.errors import ParseError
from twobody.text import PathLike, quote, read_text, split_lines

_INPUT = Template((files("twobody.campaign") / "dftb_in.hsd").read_text(encoding="utf-8"))

# Nodes that hold one of several methods: another method replaces the first instead of joining it.
_CHOICES = {
    *("geometry", "driver", "hamiltonian"),
    *("mixer", "slaterkosterfiles", "filling", "spinpolarisation"),
}

_HSD_FAULTS = (  # by hsd's number of the error, from 1
    *("a syntax error", "a block that is not closed", "an attribute that is not closed"),
    *("a quotation that is not closed", "text outside of any block"),
)


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides the pair and its parameters; by default as the shipped data."""

    start_factor: float = 1.0  # distance at the start, in units of the sum of the covalent radii
    temperature: float = 300.0  # electronic temperature of the Fermi filling [K]
    scc_tolerance: float = 1e-6  # largest charge difference of two SCC cycles at the end [e]
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
    changes: dict[str, dict[str, Any]] = {
        "mixing": {
            "mixing": settings.mixing / 5,
            "max_scc_iterations": 3 * settings.max_scc_iterations,
        },
        "optimiser": {"optimiser": "LBFGS", "max_steps": 5 * settings.max_steps},
        "start": {"start_factor": 1.15 * settings.start_factor},
        "temperature": {"temperature": max(1000.0, 3 * settings.temperature)},
    }
    rungs = {"as given": settings}
    for name, change in changes.items():
        rungs[name] = settings = replace(settings, **change)
    return rungs


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
    basis = dict(zip(elements, shells, strict=True))
    unpaired = settings.unpaired_electrons
    spin = f"SpinPolarisation = Colinear {{ UnpairedElectrons = {unpaired} }}"
    text = _INPUT.substitute(
        asdict(settings),
        types=" ".join(basis),
        last_type=len(basis),
        distance=start_distance(elements, settings),
        shells="\n    ".join(f'{element} = "{shell}"' for element, shell in basis.items()),
        prefix=prefix,
        spin="" if unpaired is None else spin,
    )
    if not settings.extra:
        return text
    lowered = {"lower_tag_names": True, "include_hsd_attribs": True}  # tags have no case in HSD
    merged = hsd.load_string(text, **lowered)
    _merge(merged, hsd.load_string(settings.extra, **lowered))
    return str(hsd.dump_string(merged, use_hsd_attribs=True))


def _merge(tree: dict[str, Any], extra: dict[str, Any]) -> None:
    """Put the nodes of `extra` into `tree`; both have tags in lower case and HSD attributes."""
    for tag, value in extra.items():
        if tag.endswith((ATTRIB_SUFFIX, HSD_ATTRIB_SUFFIX)):
            continue
        old: Any = tree.get(tag)
        both_blocks = isinstance(old, dict) and isinstance(value, dict)
        if both_blocks and (tag not in _CHOICES or old.keys() & value.keys()):
            _merge(old, value)
            continue
        for key in (tag, tag + ATTRIB_SUFFIX, tag + HSD_ATTRIB_SUFFIX):
            tree.pop(key, None)
            if key in extra:
                tree[key] = extra[key]


def read_extra(path: PathLike) -> str:
    """Read HSD to merge into every input; no HSD, or an included file, is a `ParseError`."""
    text = read_text(path)
    for line, words in enumerate(split_lines(text), start=1):
        if "<<<" in words or "<<+" in words:
            raise ParseError(path, line, "HSD that includes no other file", quote(words))
    try:
        hsd.load_string(text)
    except (hsd.HsdError, IndexError) as error:  # the latter for a bracket that closes nothing
        # Only the message tells what and where.
        match = re.search(r"\((\d)\) between lines (\d+) - (\d+)", str(error))
        if match is None:
            raise ParseError(path, None, "HSD", _HSD_FAULTS[0]) from error
        fault, first, last = map(int, match.groups())
        line = last if fault == SYNTAX_ERROR else first
        raise ParseError(path, line, "HSD", _HSD_FAULTS[fault - 1]) from error
    return text
