"""What other versions and kinds of run of DFTB+ print, made from real files of version 24.1.

Each function rewrites the text of a shipped ``detailed.out`` (SCC, geometry optimisation, no spin)
as the version or the kind of run in its name would have printed the same numbers. The layouts were
read off the tagged sources of DFTB+; see the formats in the functions.
"""

from __future__ import annotations

import re
from pathlib import Path

import oracle

RAW_DATA = Path(__file__).parent.parent / "raw_data"

Orbital = tuple[int, int, int, int, float, str]  # atom, shell, l, m, population, label


def real(pair: str, file: str = "detailed.out") -> str:
    """Return the text of a shipped file."""
    return (RAW_DATA / pair / file).read_text(encoding="utf-8")


def replaced(text: str, old: str, new: str, count: int = 1) -> str:
    """Replace `old`, which has to stand in `text` `count` times."""
    assert text.count(old) == count, f"{old!r} stands {text.count(old)} times"
    return text.replace(old, new)


def cut_out(text: str, start: str, stop: str) -> str:
    """Leave out everything from `start` up to, but not with, `stop`."""
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(stop)
    assert found
    return before + stop + after


def energy(name: str, hartree: float) -> str:
    """Print a line (A, ':', T32, F18.10, T51, 'H', T54, F16.4, T71, 'eV')."""
    return f"{name + ':':<31}{hartree:18.10f} H  {hartree * 27.2113862:16.4f} eV\n"


def orbitals_of(text: str) -> list[Orbital]:
    values = oracle.detailed_out(text)
    columns = ("atom", "shell", "l", "m", "population", "label")
    rows = zip(*(values[f"orbitals.{column}"] for column in columns), strict=True)
    return [(atom + 1, *row) for atom, *row in rows]


def populations(orbitals: list[Orbital], channel: str, *, labels: bool = True) -> str:
    """Print the four Mulliken sections of a spin channel."""

    def total(*key: int) -> float:
        return sum(row[4] for row in orbitals if row[: len(key)] == key)

    atoms = sorted({row[0] for row in orbitals})
    shells = sorted({row[:3] for row in orbitals})
    lines = [f"Nr. of electrons ({channel}):{total():16.8f}", f"Atom populations ({channel})"]
    lines += [" Atom       Population", *(f"{a:5d} {total(a):16.8f}" for a in atoms), ""]
    lines += [f"l-shell populations ({channel})", " Atom Sh.   l       Population"]
    lines += [*(f"{a:5d} {s:3d} {l:3d} {total(a, s, l):16.8f}" for a, s, l in shells), ""]
    lines += [f"Orbital populations ({channel})", " Atom Sh.   l   m       Population"]
    lines[-1] += "  Label" if labels else ""
    for a, s, l, m, p, label in orbitals:
        lines.append(f"{a:5d} {s:3d} {l:3d} {m:3d} {p:16.8f}" + f"  {label}" * labels)
    return "\n".join(lines) + "\n\n"


def with_populations(text: str, printed: str) -> str:
    """Put other Mulliken sections where those of the real file stand."""
    without = cut_out(text, "Nr. of electrons", "Fermi level:")
    return replaced(without, "Fermi level:", printed + "Fermi level:")


def scaled(orbitals: list[Orbital], factor: float) -> list[Orbital]:
    return [(*row[:4], round(row[4] * factor, 8), row[5]) for row in orbitals]


def spin_energies(text: str) -> str:
    """Print Fermi level and band energy of each spin channel below its name."""
    values = oracle.detailed_out(text)
    fermi, band = values["fermi_level"], values["band_energy"]
    printed = ""
    for name, level, share in (("up", fermi, 0.75), ("down", fermi - 0.125, 0.25)):
        printed += f"Spin  {name}\n" + energy("Fermi level", level)
        printed += energy("Band energy", band * share) + energy("TS", 0.0)
        printed += f"Input / Output electrons ({name}):{1.0:18.10f}{1.0:18.10f}\n\n"
    return cut_out(text, "Fermi level:", "Energy H0:").replace("Energy H0:", printed + "Energy H0:")


def spin_polarised(text: str, names: tuple[str, str] = ("up", "down")) -> str:
    """Share the electrons between two channels, three quarters and one quarter."""
    orbitals = orbitals_of(text)
    up = scaled(orbitals, 0.75)
    down = [(*row[:4], row[4] - u[4], row[5]) for row, u in zip(orbitals, up, strict=True)]
    printed = populations(up, names[0]) + populations(down, names[1])
    return spin_energies(with_populations(text, printed))


def non_collinear(text: str) -> str:
    """Print charge and magnetisation; empty lines and indents are those of this kind of run."""
    orbitals = orbitals_of(text)
    printed = ""
    for channel, factor in (("q", 1.0), ("x", 0.0), ("y", -0.25), ("z", 0.5)):
        block = populations(scaled(orbitals, factor), channel)
        block = block.replace("\nAtom populations", "\n\n\nAtom populations")
        block = re.sub(r"(?m)^(    [0-9] +-?[0-9.]+)$", r" \1", block)
        printed += block.replace("\nOrbital populations", "\n\nOrbital populations")
    return with_populations(text, printed)


def version_17_1(text: str) -> str:
    """Print net charges, no labels, one-electron levels, indents, electrons to eight decimals."""
    text = cut_out(text, " Total charge:", " Atomic gross charges")
    text = replaced(text, " Atomic gross charges (e)", " Net atomic charges (e)")
    text = replaced(text, " Atom           Charge", " Atom       Net charge")
    levels = "COMPONENT = q\n\nEigenvalues /H\n    0.10000000\n\nFillings\n     2.00000\n\n"
    printed = levels + populations(orbitals_of(text), "up", labels=False)
    text = with_populations(text, re.sub(r"(?m)^(?=[A-Za-z])", " ", printed))
    text = re.sub(r"Input / Output (electrons .*)00\b(.*)00\n", r"Input/Output \1\2\n", text)
    for line in ("Extrapolated to 0", "Force related energy"):
        text = re.sub(rf"{line}:.*\n", "", text)
    text = replaced(text, "Non-constrained calculation\n\n", "")
    text = re.sub(r"(?m)^(?=[A-Z].*:.* eV$|Coordinates)", " ", text)
    return replaced(text, "Dipole moment:", " Dipole moment  :", 2)


def static(text: str) -> str:
    """Print a single point: no step, no moved atoms, no geometry file, no status at the end."""
    text = re.sub(r"Geometry optimization step: [0-9]+", "Calculation with static geometry", text)
    text = cut_out(text, "Coordinates of moved atoms", " Total charge:")
    text = cut_out(text, "Full geometry written", "Dipole moment:")
    return replaced(text, "Geometry converged\n", "")


def single_point(text: str) -> str:
    """Print an optimisation that may make no step (MaxSteps = 0), as ASE asked for by default.

    Versions 19.1 to 25.1: the heading of a static geometry, the rest as after an optimisation.
    """
    return re.sub(r"Geometry optimization step: [0-9]+", "Calculation with static geometry", text)


def single_point_without_scc(text: str) -> str:
    """Print the same without SCC, where the heading of a static geometry is left out as well."""
    return replaced(single_point(without_scc(text)), "Calculation with static geometry\n", "")


def reks(text: str) -> str:
    """Print the first line and the SCC row of a REKS run (from 20.1)."""
    text = replaced(text, " Fermi distribution", "REKS do not use any electronic distribution")
    text = text.replace("*" * 80, "*" * 92)
    row = "    4       -0.4885066171      -0.0000005909     0.999990     0.00000000"
    heading = "  iSCC       reks energy        Diff energy         x_a       SCC error   "
    return re.sub(r" iSCC .*\n.*", f"{heading}\n{row}", text)


def delta_dftb(text: str) -> str:
    """Print two determinants, as delta-DFTB does from 20.1: no step, no SCC row, no status."""
    populations_of = text[text.index(" Total charge:") : text.index("Fermi level:")]
    energies = text[text.index("Fermi level:") : text.index("Non-constrained")]
    dipole = re.sub(r"(?m)^Dipole", "Mixed state Dipole", text[text.index("Dipole moment:") :])
    return f" T1 state\n{populations_of} Mixed state\n{populations_of}{energies}{dipole}"


def xlbomd(text: str) -> str:
    """Print extended Lagrangian dynamics, which say nothing of an SCC cycle that was cut short."""
    text = re.sub(r"Geometry optimization step: [0-9]+", "MD step: 7", text)
    text = replaced(text, "SCC converged\n\n", "")
    return replaced(text, "Geometry converged", "Molecular dynamics completed")


def without_scc(text: str) -> str:
    """Leave out what only a charge-self-consistent run prints (layout of 20.1 and later)."""
    text = re.sub(r"\n\*{80}\n iSCC.*\n.*\n\*{80}\n", "", text)
    text = cut_out(text, "Energy SCC:", "Total Electronic energy:")
    text = re.sub(r"Input / Output electrons \(q\): +\S+", "Output electrons (q):", text)
    return replaced(text, "SCC converged", "Non-SCC calculation")


def without_mulliken(text: str) -> str:
    """Leave out charges and populations: MullikenAnalysis = No."""
    text = cut_out(text, " Total charge:", "Fermi level:")
    return re.sub(r"Input / Output electrons.*\n", "", text)


def with_third_atom(text: str) -> str:
    """Add a neutral atom with one s orbital that holds two electrons."""
    orbitals = [*orbitals_of(text), (3, 1, 0, 0, 2.0, "s")]
    text = with_populations(text, populations(orbitals, "up"))
    return replaced(text, "\n\nNr. of", f"\n    3 {0.0:16.8f}\n\nNr. of")


def unfinished(text: str) -> str:
    """Print a step after which the run goes on: nothing follows the geometry files."""
    before, _, _ = text.partition("Dipole moment:")
    return before


def scc_cycle(text: str) -> str:
    """Print one SCC cycle of a file that is appended to: no status of any kind."""
    before, _, _ = text.partition("Non-constrained calculation")
    return before
