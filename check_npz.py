"""See what is in dataset_combined.npz, check that it is right, compare it, draw it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import numpy as np

from twobody import ParseError, __version__
from twobody.archive.container import Container
from twobody.archive.reader import pairs_in
from twobody.check.against import check_against
from twobody.check.compare import compare, format_comparison
from twobody.check.describe import describe_pair, find_pair, format_overview, format_pair, overview
from twobody.check.verify import checks_as_dicts, format_checks, has_errors, read_whole, verify
from twobody.errors import printable
from twobody.pairs import Pairs
from twobody.progress import one_message
from twobody.publish import figures
from twobody.publish.exports import FORMATS
from twobody.publish.exports import export as write_export
from twobody.publish.page import write_page

_PATH = click.Path(path_type=Path)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", default="dataset_combined.npz", type=_PATH)
@click.option("--pair", metavar="NAME", help="Describe one pair, by its name or number.")
@click.option("--verify", "checks", is_flag=True, help="Run every check; exit 1 if one fails.")
@click.option("--against", metavar="RAW_DATA", type=_PATH, help="Verify, also by the raw files.")
@click.option("--compare", "other", metavar="OTHER", type=_PATH, help="Compare two archives.")
@click.option(
    "--draw", metavar="OUT.png", type=_NEW_FILE, help="Draw a --pair or a --label; also .pdf, .svg."
)
@click.option("--label", help=f"The label that --draw maps, by default {figures.DRAWN_LABEL}.")
@click.option("--report", metavar="OUT.html", type=_NEW_FILE, help="Write a page to explore.")
@click.option(
    "--export",
    metavar="OUT.SUFFIX",
    type=_NEW_FILE,
    help="Write the pairs for other programs: .extxyz (ASE, MACE, SchNetPack) or .parquet "
    "(Hugging Face).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(__version__)
def main(
    file: Path,
    pair: str | None,
    checks: bool,
    against: Path | None,
    other: Path | None,
    draw: Path | None,
    label: str | None,
    report: Path | None,
    export: Path | None,
    as_json: bool,
) -> None:
    """See what is in FILE: members, labels, elements, pairs.

    Nothing in it is ever run. The exit status is 1 where a check fails or archives differ, 2 where
    a file cannot be read or the command is wrong.
    """
    modes = {
        "--verify or --against": checks or against is not None,
        "--compare": other is not None,
        "--draw": draw is not None,
        "--report": report is not None,
        "--export": export is not None,
        "--pair": pair is not None and draw is None,
    }
    check_usage([mode for mode, asked in modes.items() if asked], pair, label, as_json=as_json)
    fine = True
    with one_message(status=2):
        check_new_files(file, {draw: [*figures.FORMATS], report: [".html"], export: [*FORMATS]})
        # What is not finite is a finding, not NumPy's business.
        with np.errstate(all="ignore"), Container(file) as archive:
            if checks or against is not None:
                fine = show_checks(archive, against, as_json=as_json)
            elif other is not None:
                with Container(other) as second:
                    content = compare(archive, second)
                show(content, format_comparison(content), as_json=as_json)
                fine = content["equal"]
            else:
                pairs = read_whole(archive)
                row = None if pair is None else find_pair(pairs, pair)
                if draw is not None:
                    draw_figure(draw, pairs, row, label or figures.DRAWN_LABEL)
                elif report is not None:
                    write_page(report, archive)
                elif export is not None:
                    write_export(export, pairs)
                elif row is not None:
                    content = describe_pair(pairs, row)
                    show(content, format_pair(content), as_json=as_json)
                else:
                    content = overview(archive, pairs)
                    show(content, format_overview(content), as_json=as_json)
    if not fine:
        raise SystemExit(1)


def check_usage(modes: list[str], pair: str | None, label: str | None, *, as_json: bool) -> None:
    """Refuse options that do not go together."""
    if len(modes) > 1:
        raise click.UsageError(f"{' and '.join(modes)} do not go together.")
    if label is not None and (modes != ["--draw"] or pair is not None):
        raise click.UsageError("--label goes with --draw, and without --pair.")
    if as_json and modes in (["--draw"], ["--report"], ["--export"]):
        raise click.UsageError(f"{modes[0]} prints nothing that could be JSON.")


def check_new_files(file: Path, suffixes: dict[Path | None, list[str]]) -> None:
    """Refuse names that say something else than what is written: another format, or the archive."""
    for path, allowed in suffixes.items():
        if path is None:
            continue
        with suppress(FileNotFoundError):
            path.stat()  # a link that leads to itself is an OSError
        if path.suffix.lower() not in allowed or os.path.realpath(path) == os.path.realpath(file):
            expected = f"a new file with the suffix {' or '.join(allowed)}"
            raise ParseError(path, None, expected, f"{path.name!r}")


def draw_figure(path: Path, pairs: Pairs, row: int | None, label: str) -> None:
    """Draw a pair or, without one, the map of a label."""
    figure = figures.map_figure(pairs, label) if row is None else figures.pair_figure(pairs, row)
    figures.save_figure(figure, path, dpi=300)


def show_checks(archive: Container, against: Path | None, *, as_json: bool) -> bool:
    """Run the checks, then those against the raw files; return whether none failed."""
    checks = verify(archive)
    if against is not None and not has_errors(checks):
        checks += check_against(pairs_in(archive), against)
    show(checks_as_dicts(checks), format_checks(checks), as_json=as_json)
    return not has_errors(checks)


def show(content: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """Print `content` as JSON or `lines`, control characters escaped: they come from the file."""
    if as_json:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        click.echo(text.encode("utf-8", "backslashreplace"))  # half of a surrogate pair
        return
    for line in lines:
        click.echo(printable(line))


if __name__ == "__main__":
    main()
