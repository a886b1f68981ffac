"""Fuzz the readers, guided by coverage: python tests/trust/fuzz_readers.py SECONDS [CORPUS].

Every input is a byte that chooses the reader, then a file. It has to be refused with a ParseError,
or read as it stands; anything else ends the run and leaves the input behind as crash-*. With a
folder CORPUS, what was found to reach new code is kept there for the next run. Needs the extra
`fuzz`.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[k]) for k in range(3)]

with atheris.instrument_imports(include=["twobody"]):
    from twobody import ParseError
    from twobody.dftbplus import parse_band_out, parse_detailed_out, parse_geo_end_xyz
    from twobody.errors import NO_PAIR
    from twobody.files import InputDigest
    from twobody.labels import NUMERIC_LABELS
    from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE, read_label_files
    from twobody.text import decode

import layouts  # noqa: E402 - the path has to be set first, here and below
import standing  # noqa: E402
from damage import IN_LINES, OF_LINES, damaged  # noqa: E402
from judge import assert_stands  # noqa: E402

PAIRS = ["H_H", "H_Li", "Ag_Al", "He_He", "Fe_O", "I_Xe"]
FOLDER = Path(tempfile.mkdtemp())
BOND = [label.name for label in NUMERIC_LABELS].index("distance_ang")


def detailed_out(data: bytes) -> None:
    text = decode(data, "fuzzed")
    detailed = parse_detailed_out(text)
    # The second reading knows of one population only; what is summed over spins stands nowhere.
    if detailed.spin_channels in ((), ("up",)) and "Spin" not in text:
        assert_stands(detailed, text, strict=False)


def geo_end_xyz(data: bytes) -> None:
    text = decode(data, "fuzzed")
    geometry = parse_geo_end_xyz(text)
    rows = [list(row) for row in geometry.positions.tolist()]
    if geometry.populations is not None:
        rows = [[*row, p] for row, p in zip(rows, geometry.populations.tolist(), strict=True)]
    atoms = [(symbol, *row) for symbol, row in zip(geometry.symbols, rows, strict=True)]
    # Velocities are read past.
    frames = [f for f in standing.geo_end_xyz(text) if f is not standing.UNREADABLE]
    assert atoms in [[atom[: len(atoms[0])] for atom in frame] for frame in frames]


def band_out(data: bytes) -> None:
    text = decode(data, "fuzzed")
    levels = parse_band_out(text)
    found = list(zip(levels.energies.tolist(), levels.occupations.tolist(), strict=True))
    assert found == standing.band_out(text)


def label_file(file: str, data: bytes) -> None:
    for name in (LABELS_FILE, BONDS_FILE):
        (FOLDER / name).write_bytes(data if name == file else WHOLE[name])
    table, problems = read_label_files(FOLDER, PAIRS, InputDigest())
    bad = {problem.pair_name for problem in problems}
    rows = standing.label_rows(data.decode("utf-8-sig", "replace"))
    for i, pair in enumerate(PAIRS):
        if not bad & {NO_PAIR, pair} and b'"' not in data:
            ((_, cell),) = [list(row.items())[-1] for row in rows[pair]]
            last = table.texts[i, 0] if file == LABELS_FILE else table.values[i, BOND]
            assert last == (cell if file == LABELS_FILE else standing.number(cell.strip()))


def small(file: str) -> bytes:
    """Return the rows of a CSV file that are about `PAIRS`."""
    header, *rows = (layouts.RAW_DATA / file).read_bytes().splitlines(keepends=True)
    return b"".join([header, *(row for row in rows if row.split(b",")[0].decode() in PAIRS)])


WHOLE = {file: small(file) for file in (LABELS_FILE, BONDS_FILE)}
READERS = [
    detailed_out,
    geo_end_xyz,
    band_out,
    lambda data: label_file(LABELS_FILE, data),
    lambda data: label_file(BONDS_FILE, data),
]


def seeds() -> list[bytes]:
    """Return real files, and other layouts of detailed.out, each after the byte of its reader."""
    found = [b"\3" + WHOLE[LABELS_FILE], b"\4" + WHOLE[BONDS_FILE]]
    old = (layouts.version_17_1, layouts.static, layouts.without_scc)
    for pair in PAIRS:
        for k, file in enumerate(("detailed.out", "geo_end.xyz", "band.out")):
            found.append(bytes([k]) + layouts.real(pair, file).encode())
        found += [b"\0" + layout(layouts.real(pair)).encode() for layout in old]
    return found


def fuzz_one(data: bytes) -> None:
    if data:
        try:
            READERS[data[0] % len(READERS)](data[1:])
        except ParseError:
            return


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    if chance.random() < 0.5 or len(data) < 2:
        return atheris.Mutate(data, max_size)
    kinds = IN_LINES + OF_LINES
    places = [
        (chance.choice(kinds), chance.randrange(10_000), chance.randrange(10_000))
        for _ in range(chance.randrange(1, 4))
    ]
    return (data[:1] + damaged(data[1:], places))[:max_size]


def main() -> None:
    seconds, *corpus = sys.argv[1:]
    folder = Path(corpus[0]) if corpus else FOLDER / "corpus"
    folder.mkdir(exist_ok=True)
    for k, seed in enumerate(seeds()):
        (folder / f"seed-{k}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"]
    atheris.Setup(
        [sys.argv[0], *options, "-print_final_stats=1", str(folder)],
        fuzz_one,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
