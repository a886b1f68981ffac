"""The commands of the experiments; `benchmark.py` has them beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from twobody.archive import read
from twobody.errors import ParseError
from twobody.text import read_text
from twobody.transfer import crystals as elemental
from twobody.transfer import diatomics as molecules
from twobody.transfer import scores
from twobody.transfer.spectroscopy import installed_file, read_ground_states

SOURCE = Path(__file__).resolve().parents[2]
PAGE = SOURCE / "docs" / "transfer_experiments.md"
IMAGES = SOURCE / "docs" / "images" / "transfer"

_ARCHIVE = click.option(
    "--archive",
    default="dataset_combined.npz",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The dataset.",
)
_RESULTS = click.option(
    "--results",
    default="results",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of predictions; theirs are in transfer/.",
)
_JOBS = click.option("--jobs", default=1, type=click.IntRange(1), help="Processes.")
_PAGE = click.option("--page", is_flag=True, help="Put tables and picture into the documentation.")


@click.command(context_settings={"show_default": True})
@click.option(
    "--diatomics",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    help="moleculedata.csv of the package diatomics.  [default: that of the installed package]",
)
@_JOBS
@_PAGE
@_RESULTS
@_ARCHIVE
def diatomics(source: Path | None, jobs: int, page: bool, results: Path, archive: Path) -> None:
    """Predict R_e, force constant and D_e of measured molecules, and print the errors.

    What the results hold already is not computed again. They hold predictions only: errors are
    worked out from your copy of the database.
    """
    try:
        source = source or installed_file()
        molecules.run_diatomics(source, archive, results, jobs)
        pairs = read(archive)
        states = read_ground_states(source, pairs.elements.ravel().tolist())
        predictions = molecules.store(states, pairs, results).read()
        cells = scores.diatomic_errors(predictions, states)
        tables = {
            "raw": scores.raw_table(scores.raw_errors(states, pairs)),
            "diatomics": scores.diatomics_table(cells),
            "comparison": scores.comparison_table(cells),
        }
        _show(tables, page=page)
        if page:
            from twobody.transfer.pictures import draw_diatomics  # noqa: PLC0415 - an extra

            draw_diatomics(states, pairs, predictions, cells, IMAGES)
    except (ParseError, OSError, ImportError) as error:
        raise click.ClickException(str(error)) from error


@click.command(context_settings={"show_default": True})
@_JOBS
@_PAGE
@_RESULTS
@_ARCHIVE
def crystals(jobs: int, page: bool, results: Path, archive: Path) -> None:
    """Predict volume, bulk modulus and cohesive energy of elemental crystals, print the errors.

    What the results hold already is not computed again.
    """
    try:
        if elemental.published_folder() is None:
            click.echo("elementembeddings is not installed: no published vectors", err=True)
        elemental.run_crystals(archive, results, jobs)
        pairs = read(archive)
        elements = elemental.elements_of(pairs)
        predictions = elemental.store(pairs, results).read()
        cells, r_squared = scores.crystal_errors(
            predictions, elements, elemental.crystals(elements)
        )
        tables = {
            "crystals": scores.crystals_table(cells, r_squared),
            "crystals_comparison": scores.crystals_comparison(cells),
        }
        _show(tables, page=page)
        if page:
            from twobody.transfer.pictures import draw_crystals  # noqa: PLC0415 - an extra

            draw_crystals(cells, IMAGES)
    except (ParseError, OSError, ImportError) as error:
        raise click.ClickException(str(error)) from error


def _show(tables: Mapping[str, str], *, page: bool) -> None:
    """Print tables, or put them into the page of the documentation."""
    if page:
        text = scores.with_tables(read_text(PAGE), tables)
        PAGE.write_text(text, encoding="utf-8", newline="\n")
        return
    for table in tables.values():
        click.echo(table.replace("<br>", " "))
