"""The commands of this part; `benchmark.py` has them beside its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import click

from twobody.archive import read
from twobody.archive.layout import SHIPPED
from twobody.benchmark.task import all_samples
from twobody.errors import ParseError
from twobody.text import read_text
from twobody.transfer import ARMS, DATA, FOLDER, QM9, SPATIAL, scores
from twobody.transfer import crystals as elemental
from twobody.transfer import diatomics as molecules
from twobody.transfer.curve_scores import curves_table, ratios_table, read_cells, reference_table
from twobody.transfer.records import values_file
from twobody.transfer.spectroscopy import installed_file, read_ground_states

SOURCE = Path(__file__).resolve().parents[2]
PAGE = SOURCE / "docs" / "transfer_experiments.md"
CURVES_PAGE = SOURCE / "docs" / "transfer.md"
IMAGES = SOURCE / "docs" / "images" / "transfer"

ARCHIVE = click.option(
    "--archive",
    default=SHIPPED,
    show_default="the package's own pairs",
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


def _device(_: click.Context, __: click.Parameter, device: str) -> str:
    """Refuse a device that PyTorch does not know, or that is not there, before anything is read."""
    try:
        import torch  # noqa: PLC0415 - loaded where something is trained

        torch.empty(0, device=device)
    except ImportError as error:
        raise click.UsageError(f"{error}: {_INSTALL}") from error
    except (RuntimeError, AssertionError) as error:  # without CUDA PyTorch asserts
        raise click.BadParameter(str(error).splitlines()[0]) from error
    return device


_INSTALL = 'python -m pip install "twobody-dataset[transfer]"'
_DEVICE = click.option(
    "--device", default="cpu", callback=_device, help="Where to train, as PyTorch names it."
)
_MODELS = click.argument("models", nargs=-1, type=click.Choice(SPATIAL), metavar="[MODEL]...")
_PATH = click.Path(path_type=Path, file_okay=False)


def _page(_: click.Context, __: click.Parameter, page: bool) -> bool:
    """Refuse to change pages where there are none: an installed package has no documentation."""
    if page and not (PAGE.is_file() and CURVES_PAGE.is_file()):
        raise click.BadParameter(f"needs a clone with its documentation; {PAGE} is not there")
    return page


_PAGE = click.option(
    "--page", is_flag=True, callback=_page, help="Put tables and picture into the documentation."
)


@contextmanager
def _errors_in_a_line(*others: type[Exception]) -> Iterator[None]:
    """Say in one line what is wrong with what the user has given or installed."""
    kinds: tuple[type[Exception], ...] = (ParseError, OSError, *others)
    try:
        yield
    except ImportError as error:
        raise click.ClickException(f"{error}: {_INSTALL}") from error
    except BrokenProcessPool as error:
        message = "a process died, of too little memory perhaps; what was finished is kept"
        raise click.ClickException(message) from error
    except kinds as error:
        raise click.ClickException(str(error)) from error


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
@ARCHIVE
def diatomics(source: Path | None, jobs: int, page: bool, results: Path, archive: Path) -> None:
    """Predict R_e, force constant and D_e of measured molecules, and print the errors.

    What the results hold already is not computed again. They hold predictions only: errors are
    worked out from your copy of the database.
    """
    with _errors_in_a_line():
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
        _show(tables, PAGE if page else None)
        if page:
            from twobody.transfer.pictures import draw_diatomics  # noqa: PLC0415 - an extra

            draw_diatomics(states, pairs, predictions, cells, IMAGES)


@click.command(context_settings={"show_default": True})
@_JOBS
@_PAGE
@_RESULTS
@ARCHIVE
def crystals(jobs: int, page: bool, results: Path, archive: Path) -> None:
    """Predict volume, bulk modulus and cohesive energy of elemental crystals, print the errors.

    What the results hold already is not computed again.
    """
    with _errors_in_a_line():
        pairs = read(archive)
        elements = elemental.elements_of(pairs)
        store = elemental.store(pairs, results)
        if elemental.published_folder() is None and not store.file.exists():
            click.echo("elementembeddings is not installed: no published vectors", err=True)
        elemental.run_crystals(archive, results, jobs)
        predictions = store.read()
        cells, r_squared = scores.crystal_errors(
            predictions, elements, elemental.crystals(elements)
        )
        tables = {
            "crystals": scores.crystals_table(cells, r_squared),
            "crystals_comparison": scores.crystals_comparison(cells),
        }
        _show(tables, PAGE if page else None)
        if page:
            from twobody.transfer.pictures import draw_crystals  # noqa: PLC0415 - an extra

            draw_crystals(cells, IMAGES)


@click.command(context_settings={"show_default": True})
@_MODELS
@click.option("--output", required=True, type=_PATH, help="Folder to write the weights into.")
@_DEVICE
@ARCHIVE
def pretrain(models: tuple[str, ...], output: Path, device: str, archive: Path) -> None:
    """Train MODELs, or all that read positions, on all pairs, and write their weights."""
    with _errors_in_a_line():
        from twobody.transfer.pretrain import trained, write_weights  # noqa: PLC0415 - torch

        pairs = all_samples(read(archive), "geometry")
        networks = {model: trained(model, pairs, 0, device) for model in models or SPATIAL}
        write_weights(networks, output)


@click.command(context_settings={"show_default": True})
@_MODELS
@click.option("--data", required=True, type=click.Choice(DATA), help="What to learn.")
@click.option("--root", type=_PATH, help="Folder of these data; without it, QM9 is of qm9pack.")
@click.option("--molecule", help="Of md17.")
@click.option("--train", "sizes", multiple=True, type=click.IntRange(2), help="[all; of QM9 10000]")
@click.option("--arm", "arms", multiple=True, type=click.Choice(list(ARMS)), help="[all]")
@click.option("--seeds", default=3, type=click.IntRange(1), help="Trainings of each arm and size.")
@_DEVICE
@_JOBS
@click.option("--quick", is_flag=True, help="Try: one training per arm of few steps, not written.")
@_RESULTS
@ARCHIVE
def finetune(
    models: tuple[str, ...],
    data: str,
    root: Path | None,
    molecule: str | None,
    sizes: tuple[int, ...],
    arms: tuple[str, ...],
    seeds: int,
    device: str,
    jobs: int,
    quick: bool,
    results: Path,
    archive: Path,
) -> None:
    """Train MODELs on other structures, from scratch and from what they learned of pairs.

    What the results hold already is not run again, so a run that was stopped can be continued.
    """
    if not models:
        raise click.UsageError(f"name models, of {', '.join(SPATIAL)}")
    models, arms = tuple(dict.fromkeys(models)), tuple(dict.fromkeys(arms or ARMS))
    with _errors_in_a_line(ValueError):
        from twobody.transfer import curves  # noqa: PLC0415 - loads torch

        origin = curves.Origin(data, root, molecule)
        source = origin.source(max(sizes) if sizes else None)
        numbers = sorted(set(sizes)) or [len(source.train)]
        settings = curves.Settings(origin, numbers[-1], archive, device)
        if quick:
            for line in curves.try_out(models, arms, numbers[0], settings, source):
                click.echo(line)
            return
        failed = curves.learning_curves(
            models, arms, numbers, seeds, results / FOLDER, settings, jobs, source
        )
    if failed:
        raise click.ClickException(f"{failed} of the trainings failed")


@click.command(context_settings={"show_default": True})
@_PAGE
@_RESULTS
def curves(page: bool, results: Path) -> None:
    """Score what `finetune` has stored of QM9; `--page` needs all of it."""
    with _errors_in_a_line():
        folder = results / FOLDER
        reference = folder / "qm9_schnet.csv"
        held = [data for data in QM9 if page or values_file(folder, data).exists()]
        of_data = {data: read_cells(folder, data) for data in held or QM9}
        tables = {}
        if page or reference.exists():
            tables["qm9-reference"] = reference_table(reference)
        for data, cells in of_data.items():
            tables[f"{data}-errors"] = curves_table(cells)
            tables[f"{data}-ratios"] = ratios_table(cells)
        _show(tables, CURVES_PAGE if page else None)
        if page:
            from twobody.transfer.curve_pictures import draw_curves  # noqa: PLC0415 - an extra

            for data, cells in of_data.items():
                draw_curves(cells, data, IMAGES)


COMMANDS = (pretrain, finetune, curves, diatomics, crystals)


def _show(tables: Mapping[str, str], page: Path | None) -> None:
    """Print tables, or put them into a page of the documentation."""
    if page:
        text = scores.with_tables(read_text(page), tables)
        page.write_text(text, encoding="utf-8", newline="\n")
        return
    for table in tables.values():
        click.echo(table.replace("<br>", " "))
