"""Files in the format of qm9pack, with three molecules of QM9 and others made up."""

from __future__ import annotations

import csv
import json

HEADER = [
    "XYZ_file",
    "Index",
    "SMILES",
    "N_atoms",
    "Elements",
    "XYZ_Ang",
    "HOMO_au",
    "LUMO_au",
    "HOMO_LUMO_gap_au",
    "InternalEnergy_0K_au",
]

METHANE = {
    "XYZ_file": "dsgdb9nsd_000001.xyz",
    "Index": 1,
    "SMILES": "C",
    "N_atoms": 5,
    "Elements": "['C','H','H','H','H']",
    "XYZ_Ang": "[[-0.0126981359,1.0858041578,0.0080009958],"
    "[0.002150416,-0.0060313176,0.0019761204],"
    "[1.0117308433,1.4637511618,0.0002765748],[-0.540815069,1.4475266138,-0.8766437152],"
    "[-0.5238136345,1.4379326443,0.9063972942]]",
    "HOMO_au": "-0.3877",
    "LUMO_au": "0.1171",
    "HOMO_LUMO_gap_au": "0.5048",
    "InternalEnergy_0K_au": "-40.47893",
}
WATER = {
    "XYZ_file": "dsgdb9nsd_000003.xyz",
    "Index": 3,
    "SMILES": "O",
    "N_atoms": 3,
    "Elements": "['O','H','H']",
    "XYZ_Ang": "[[-0.0343604951,0.9775395708,0.0076015923],"
    "[0.0647664923,0.0205721989,0.0015346341],"
    "[0.8717903737,1.3007924048,0.0006931336]]",
    "HOMO_au": "-0.2928",
    "LUMO_au": "0.0687",
    "HOMO_LUMO_gap_au": "0.3615",
    "InternalEnergy_0K_au": "-76.404702",
}
ACETYLENE = {
    "XYZ_file": "dsgdb9nsd_000004.xyz",
    "Index": 4,
    "SMILES": "C#C",
    "N_atoms": 4,
    "Elements": "['C','C','H','H']",
    "XYZ_Ang": "[[0.5995394918,0.,1.],[-0.5995394918,0.,1.],"
    "[-1.6616385861,0.,1.],[1.6616385861,0.,1.]]",
    "HOMO_au": "-0.2845",
    "LUMO_au": "0.0506",
    "HOMO_LUMO_gap_au": "0.3351",
    "InternalEnergy_0K_au": "-77.308427",
}


def made_up(index):
    """Return a molecule of two or three atoms in a row."""
    elements = [["C", "O"], ["N", "N", "O"], ["H", "F"], ["H", "C", "N"]][index % 4]
    length = 1.0 + 0.02 * (index % 11)
    positions = [[round(length * k, 10), 0.0, 0.0] for k in range(len(elements))]
    gap = 0.2 + 0.01 * (index % 7)
    return {
        "XYZ_file": f"dsgdb9nsd_{index:06}.xyz",
        "Index": index,
        "SMILES": "",
        "N_atoms": len(elements),
        "Elements": str(elements).replace(" ", ""),
        "XYZ_Ang": json.dumps(positions).replace(" ", ""),
        "HOMO_au": "-0.25",
        "LUMO_au": f"{gap - 0.25:.4f}",
        "HOMO_LUMO_gap_au": f"{gap:.4f}",
        "InternalEnergy_0K_au": f"{-38.0 * len(elements) - 0.1 * length:.6f}",
    }


def write(folder, *parts):
    """Write the three files, each with the molecules of a part."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(3):
        molecules = parts[k] if k < len(parts) else [made_up(1000 + k)]
        path = folder / f"qm9_part{k + 1}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEADER, quoting=csv.QUOTE_NONNUMERIC)
            file.write(",".join(HEADER) + "\n")
            writer.writerows(molecules)
    return folder
