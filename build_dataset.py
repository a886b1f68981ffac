"""Build dataset_combined.npz and analysis/ from raw DFTB+ output: parse, render, merge, write."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from twobody import ParseError, __version__
from twobody.analysis import ANALYSIS, ANALYSIS_FILES, SKIPPED_CSV, write_analysis, write_skipped
from twobody.archive.container import Container
from twobody.archive.layout import ARCHIVE, FORMAT_VERSION, PAIR_NUMBERS
from twobody.archive.pair_files import check_pair_files, pair_files
from twobody.archive.writer import write
from twobody.check.laws import problems
from twobody.encodings import DEFAULT, ENCODINGS, get_encoding
from twobody.errors import NO_PAIR, printable
from twobody.files import flush, publish, sha256, staging
from twobody.labels import LABELS, NUMERIC_LABELS
from twobody.pairs import Pairs
from twobody.progress import n_cores, one_message, progress_bar
from twobody.raw_data.read import RawData, read
from twobody.text import counted

SOURCE = Path(__file__).resolve().parent
_MOST_JOBS = 4  # more take memory and save no time: what they make is hashed in one thread
PATH = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)


def encoding_name(name: str) -> str:
    """Refuse the name of an encoding that there is not."""
    try:
        return get_encoding(name).name
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.argument("raw_data", default="raw_data", type=PATH)
@click.argument("output", default=ARCHIVE, type=PATH)
@click.option("--encoding", default=DEFAULT, type=encoding_name, help=f"{', '.join(ENCODINGS)}.")
@click.option("--skip-invalid", is_flag=True, help="Leave pairs with problems out and list them.")
@click.option("--allow-unconverged", is_flag=True, help="Take pairs whose SCC did not converge.")
@click.option("--store", is_flag=True, help="Do not compress, so that arrays can be memory-mapped.")
@click.option("--jobs", type=click.IntRange(1), help="Threads; by default one per core, at most 4.")
@click.option(
    "--per-pair-files",
    metavar="DIR",
    type=FOLDER,
    help="Also write one .npz file per pair into DIR; those of other pairs there are removed.",
)
@click.option("--release", metavar="DIR", type=FOLDER, help="Also write DIR/TwoBody, to publish.")
@click.version_option(__version__)
def main(
    raw_data: Path,
    output: Path,
    encoding: str,
    skip_invalid: bool,
    allow_unconverged: bool,
    store: bool,
    jobs: int | None,
    per_pair_files: Path | None,
    release: Path | None,
) -> None:
    """Build a dataset from the DFTB+ output in RAW_DATA.

    OUTPUT is the archive if it ends in .npz; otherwise a folder that gets dataset_combined.npz. The
    folder analysis/ goes beside the archive. Both are written, or nothing.
    """
    start = time.perf_counter()
    archive = output if output.suffix == ".npz" else output / ARCHIVE
    with one_message():
        check_targets(raw_data, archive, per_pair_files, release)
        raw = read(raw_data, allow_unconverged=allow_unconverged)
        if raw.can_skip or not raw.problems:
            raw.problems.extend(problems(raw.good()))
        if raw.problems and not (skip_invalid and raw.can_skip):
            refuse(raw)
        pairs = encode(raw, encoding)
        with pair_files(per_pair_files, pairs) if per_pair_files else nullcontext():
            digests = write_all(pairs, raw, archive, store=store, jobs=jobs or default_jobs())
        if release is not None:
            from twobody.publish.release import write_release  # noqa: PLC0415 - see check_targets

            click.echo(write_release(release, archive, SOURCE))
        summarise(archive, pairs, raw, *digests)
        click.echo(f"done in {time.perf_counter() - start:.1f} s")


def default_jobs() -> int:
    """Return how many threads draw and compress; one more hashes and writes what they make."""
    return min(n_cores(), _MOST_JOBS)


def check_targets(
    raw_data: Path, archive: Path, per_pair_files: Path | None, release: Path | None
) -> None:
    """Refuse, before anything is read, places that the output cannot take."""
    for place in (archive.parent, per_pair_files, release):
        # Not Path.resolve, which raises other errors than OSError where links lead in a circle.
        if place and Path(os.path.realpath(place)).is_relative_to(os.path.realpath(raw_data)):
            raise ParseError(place, None, "a place outside of the raw data", "one inside")
    if archive.is_dir():
        raise ParseError(archive, None, "a file, or nothing", "a folder")
    for folder in (archive.parent, archive.parent / ANALYSIS):
        if folder.exists() and not folder.is_dir():
            raise ParseError(folder, None, "a folder, or nothing", "a file")
    if per_pair_files is not None:
        # Those of pairs that are no more are removed there, and any name may be that of a pair.
        own, analysis = os.path.realpath(per_pair_files), archive.parent / ANALYSIS
        others = [Path(os.path.realpath(place)) for place in (analysis, release) if place]
        if any(p.is_relative_to(own) or Path(own).is_relative_to(p) for p in others):
            raise ParseError(per_pair_files, None, "a folder of its own", "that of other output")
        check_pair_files(per_pair_files)
    if release is not None:
        from twobody.publish.release import check_release  # noqa: PLC0415 - most builds make none

        check_release(release, SOURCE)


def refuse(raw: RawData) -> None:
    """List every problem and end the program."""
    for problem in raw.problems:
        click.echo(problem.error, err=True)
    count = f"{counted(len(raw.problems), 'problem')}, {counted(len(raw.bad - {NO_PAIR}), 'pair')}"
    advice = " (--skip-invalid leaves bad pairs out)" if raw.can_skip else ""
    raise click.ClickException(f"{count}; nothing was written{advice}")


def encode(raw: RawData, encoding: str) -> Pairs:
    """Return the pairs without problems, with their images and where they come from."""
    pairs = raw.good()
    provenance: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "package_version": __version__,
        "encoding": encoding,
        "pairs": {"found": raw.found, "kept": len(pairs), "skipped": len(raw.bad)},
        "units": {"geometries": "Å, e", "metadata": "e, H, au, Å"}
        | dict.fromkeys(PAIR_NUMBERS, "e")
        | {label.name: label.unit for label in NUMERIC_LABELS},
        "input_sha256": raw.digest,
    }
    images = get_encoding(encoding).encode(pairs)
    return replace(pairs, encoding=encoding, images=images, provenance=provenance)


def write_all(
    pairs: Pairs, raw: RawData, archive: Path, *, store: bool, jobs: int
) -> tuple[str, str]:
    """Write archive and analysis to a staging folder, move them into place.

    Returns SHA-256 of what the archive holds, which compression does not change, and of its file.
    """
    folder, analysis = archive.parent, archive.parent / ANALYSIS
    folder.mkdir(parents=True, exist_ok=True)
    with staging(folder) as staged, progress_bar(len(pairs), "writing") as progress:
        with (staged / ARCHIVE).open("wb") as file:
            content = write(file, pairs, store=store, jobs=jobs, progress=progress)
        with ThreadPoolExecutor() as threads:
            file_digest = threads.submit(sha256, staged / ARCHIVE)
            # So that publishing hardly waits for the disk.
            flushed = threads.submit(flush, staged / ARCHIVE)
            write_analysis(staged, pairs)
            # No archive is published whose headers our reader refuses.
            Container(staged / ARCHIVE).close()
        flushed.result()  # the system reports a failure once
        digests = content, file_digest.result()
        if raw.problems:
            write_skipped(staged / SKIPPED_CSV, raw.problems, raw.pairs.path)
        analysis.mkdir(exist_ok=True)
        written = [name for name in ANALYSIS_FILES if (staged / name).exists()]
        moves = [(staged / name, analysis / name) for name in written]
        publish([*moves, (staged / ARCHIVE, archive)], folder)
        if not raw.problems:
            (analysis / SKIPPED_CSV).unlink(missing_ok=True)
    return digests


def summarise(archive: Path, pairs: Pairs, raw: RawData, content: str, digest: str) -> None:
    """Say what was made of what."""
    skipped = raw.found - len(pairs)
    missing = int(np.isnan(pairs.label_values).sum())
    shape = " x ".join(map(str, pairs.encoded.shape))
    others = [path.name for path in archive.parent.glob("*.npz") if path.name != archive.name]
    click.echo(
        f"{printable(str(archive))}\n"
        f"  pairs     {raw.found} found, {len(pairs)} kept, {skipped} skipped\n"
        f"  labels    {len(LABELS)} per pair, {missing} values missing\n"
        f"  images    {shape} float32, encoding {pairs.encoding}\n"
        f"  size      {archive.stat().st_size / 1e6:.1f} MB\n"
        f"  SHA-256   {digest}\n"
        f"  content   {content}\n"
        f"{printable(str(archive.parent / ANALYSIS))}"
    )
    if others:
        besides = counted(len(others), "other archive")
        click.echo(f"  of {printable(archive.name)} alone, not of the {besides} beside it")
    if raw.problems:
        click.echo(f"  skipped   {skipped} pairs, listed in {SKIPPED_CSV}")


if __name__ == "__main__":
    main()
