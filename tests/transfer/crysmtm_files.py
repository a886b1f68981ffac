"""Raw files of CrysMTM, as its archive holds them, with values made up here."""

from __future__ import annotations

PHASES = ("anatase", "brookite", "rutile")
TEMPERATURES = tuple(range(0, 1001, 50))
PARAMETERS = ("HOMO", "LUMO", "Eg", "Ef", "Et", "Eta", "disp", "vol", "bond")


def xyz(phase, temperature, rotation):
    """Two units of TiO2, or three of rutile, that show where they come from in their positions."""
    n = 9 if phase == "rutile" else 6
    rows = [
        f"{'O' if k % 3 else 'Ti'} {temperature + k:.6f} {rotation:.6f} {-k / 4:.6f}\n"
        for k in range(n)
    ]
    return f"{n}\n{phase} at {temperature} K\n{''.join(rows)}"


def labels():
    """Return the rows of labels.csv: parameter k of phase p at T is 1000 p + T / 1000 - k."""
    return ["Polymorph,Temperature,Parameter,Value\n"] + [
        f"{phase.title()},{temperature}K,{parameter},{1000 * p + temperature / 1000 - k:.4f}\n"
        for p, phase in enumerate(PHASES)
        for temperature in TEMPERATURES
        for k, parameter in enumerate(PARAMETERS)
    ]


def write(root, rotations=lambda _phase, _temperature: (0, 1, 10)):
    """Write labels.csv and the folders; `rotations` gives the numbers that a folder holds."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "labels.csv").write_text("".join(labels()), encoding="utf-8")
    for phase in PHASES:
        for temperature in TEMPERATURES:
            folder = root / phase / f"{temperature}K" / "xyz"
            folder.mkdir(parents=True)
            for rotation in rotations(phase, temperature):
                path = folder / f"rot_{rotation}.xyz"
                path.write_text(xyz(phase, temperature, rotation), encoding="utf-8")
    return root
