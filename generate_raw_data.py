"""Make raw_data: run DFTB+ for all pairs, and collect the labels from its output."""

from __future__ import annotations

import math
import os
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm
from twobody.cores import n_cores

from twobody import ParseError, __version__
from twobody.campaign.run_log import RUN_LOG
from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import PairProblem
from twobody.raw_data.derive import collect_pair
from twobody.raw_data.folders import find_pairs
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE, PairLabels, write_label_files
from twobody.text import counted

if TYPE_CHECKING:
    from twobody.campaign.campaign import Account

HOW_TO = """To compute raw data it takes
  DFTB+                conda install -c conda-forge dftbplus
                       (found by --dftb-command, DFTB_COMMAND or as dftb+ in PATH)
  Slater-Koster files  PTBP, published at doi:10.5281/zenodo.10677795 (--skf FOLDER)
Without them, with raw data that are there, such as the 2,850 pairs of the repository:
  python generate_raw_data.py collect RAW_DATA   works out the labels of DFTB+ output
  python build_dataset.py RAW_DATA               builds the dataset"""


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Make raw_data."""


@main.command()
@click.argument("raw_data", default="raw_data", type=click.Path(path_type=Path))
@click.option("--skip-invalid", is_flag=True, help="Leave pairs with problems out, and list them.")
def collect(raw_data: Path, skip_invalid: bool) -> None:
    """Work out the labels of every pair in RAW_DATA and write both CSV files there.

    Both are written or, where a pair has a problem, none.
    """
    pairs: dict[str, PairLabels] = {}
    try:
        names, problems = find_pairs(raw_data)
        for name in tqdm(names, "collecting", unit="pair", disable=None):
            pair, errors = collect_pair(raw_data / name)
            if pair is not None:
                pairs[name] = pair
            problems += [PairProblem(name, error) for error in errors]
        for problem in problems:
            pairs.pop(problem.pair_name, None)
            click.echo(problem.error, err=True)
        if problems and not (skip_invalid and pairs):
            raise click.ClickException(f"{counted(len(problems), 'problem')}; nothing was written")
        write_label_files(raw_data, pairs)
    except (ParseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    left_out = len({problem.pair_name for problem in problems})
    skipped = f", {left_out} left out" if left_out else ""
    kept = counted(len(pairs), "pair")
    click.echo(f"{raw_data / LABELS_FILE}, {raw_data / BONDS_FILE}: {kept}{skipped}")


class FiniteRange(click.FloatRange):
    """Numbers of a range without NaN and infinity, which click lets through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number


def split_elements(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> list[str] | None:
    """Read ``H,C,O``."""
    if value is None:
        return None
    elements = [symbol.strip() for symbol in value.split(",")]
    for symbol in elements:
        if symbol not in ATOMIC_NUMBERS:
            raise click.BadParameter(f"{symbol!r} is no element")
    return elements


def split_pairs(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[tuple[str, str]] | None:
    """Read ``Ag_Al,H_O``; the elements of a pair come in any order."""
    if value is None:
        return None
    pairs = set()
    for name in value.split(","):
        elements = split_elements(context, parameter, name.strip().replace("_", ","))
        if elements is None or len(elements) != 2:
            raise click.BadParameter(f"{name!r} is no pair (A_B)")
        pairs.add((min(elements), max(elements)))
    return sorted(pairs)


def split_starts(_context: click.Context, _parameter: click.Parameter, value: str) -> list[float]:
    """Read ``0.9,1.0,1.2``."""
    try:
        starts = sorted({float(factor) for factor in value.split(",")})
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no list of numbers") from error
    if not all(0.1 <= factor <= 10 for factor in starts):
        raise click.BadParameter("factors are between 0.1 and 10")
    return starts


def split_command(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    """Read a command line."""
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no command line: {error}") from error
    if not words:
        raise click.BadParameter("an empty command line")
    return words


@main.command(context_settings={"show_default": True})
@click.option(
    "--skf", type=click.Path(path_type=Path), help="Folder of Slater-Koster files A-B.skf."
)
@click.option("--elements", callback=split_elements, help="All pairs of these, as in H,C,O.")
@click.option("--pairs", callback=split_pairs, help="These pairs, as in Ag_Al,H_O.")
@click.option(
    "--output",
    default="raw_data",
    type=click.Path(path_type=Path),
    help="Folder of the pairs' folders.",
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Runs at a time; as many as cores unless given."
)
@click.option("--scheduler", help="Address of a Dask cluster that does the runs.")
@click.option(
    "--dftb-command",
    default="dftb+",
    envvar="DFTB_COMMAND",
    show_envvar=True,
    callback=split_command,
    help="The program and its arguments.",
)
@click.option(
    "--time-limit", default=600.0, type=FiniteRange(0, min_open=True), help="Of a run [s]."
)
@click.option("--dry-run", is_flag=True, help="Write the inputs only (of the first start).")
@click.option(
    "--starts",
    default="1.0",
    callback=split_starts,
    help="Starting distances in units of the sum of the covalent radii, as in 0.9,1.0,1.2; "
    "the lowest physical well is kept.",
)
@click.option("--temperature", default=300.0, type=FiniteRange(0), help="Of the electrons [K].")
@click.option(
    "--scc-tolerance", default=1e-6, type=FiniteRange(0, min_open=True), help="Of charges [e]."
)
@click.option(
    "--max-force",
    default=1e-4,
    type=FiniteRange(0, min_open=True),
    help="At the end [H/bohr].",
)
@click.option("--unpaired-electrons", type=FiniteRange(0), help="Spin-polarised, with so many.")
@click.option("--extra-hsd", type=click.Path(path_type=Path), help="HSD to merge into every input.")
def run(
    skf: Path | None,
    elements: list[str] | None,
    pairs: list[tuple[str, str]] | None,
    output: Path,
    jobs: int | None,
    scheduler: str | None,
    dftb_command: list[str],
    time_limit: float,
    dry_run: bool,
    starts: list[float],
    temperature: float,
    scc_tolerance: float,
    max_force: float,
    unpaired_electrons: float | None,
    extra_hsd: Path | None,
) -> None:
    """Compute pairs with DFTB+: all pairs of the elements in the Slater-Koster files, unless told.

    Every pair gets a folder in OUTPUT. The same command again goes on where it was stopped. Runs
    that fail are tried again with other settings; all attempts are in OUTPUT/run_log.csv.
    """
    if skf is None:
        raise click.UsageError(f"--skf is missing. {HOW_TO}")
    if elements and pairs:
        raise click.UsageError("--elements or --pairs, not both")
    if os.name != "posix" and not dry_run:
        raise click.ClickException("DFTB+ runs on Linux and macOS only")
    try:
        from twobody.campaign import campaign  # noqa: PLC0415  they need an extra
        from twobody.campaign import hsd_input as dftb_input  # noqa: PLC0415

        settings = dftb_input.Settings(
            temperature=temperature,
            scc_tolerance=scc_tolerance,
            max_force=max_force,
            unpaired_electrons=unpaired_electrons,
            extra="" if extra_hsd is None else dftb_input.read_extra(extra_hsd),
        )
        chosen = campaign.all_pairs(elements) if elements else pairs
        plan = partial(campaign.plan, output, skf, chosen, settings, starts, time_limit)
        if dry_run:
            written, kept = campaign.write_inputs(plan(()))
            click.echo(f"{output}: {written} inputs written, {kept} pairs with outputs left alone")
            return
        with campaign.executor(scheduler, jobs or n_cores()) as (pool, compute):
            command = campaign.find_program(pool, dftb_command)
            if command is None:
                where = "here" if scheduler is None else "on the cluster"
                raise click.ClickException(f"{dftb_command[0]} was not found {where}. {HOW_TO}")
            planned = plan(command)
            output.mkdir(parents=True, exist_ok=True)
            account = campaign.run_campaign(planned, pool, compute)
    except ModuleNotFoundError as error:
        extra = "generate" if scheduler is None else "dask"
        raise click.ClickException(
            f'{error.name} is not installed: python -m pip install ".[{extra}]"'
        ) from error
    except (ParseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on from here", err=True)
        raise SystemExit(130) from None
    report(output, account)


def report(output: Path, account: Account) -> None:
    """Say what came of the pairs; exit with status 1 where some failed."""
    for what, pairs in (
        ("computed with other settings than asked for", account.retried),
        ("computed, but not from every start", account.lost_starts),
        ("failed", account.failed),
    ):
        for pair, reason in sorted(pairs.items()):
            click.echo(f"{pair} {what}: {reason}", err=True)
    click.echo(f"{output}: {', '.join(f'{n} {name}' for name, n in account.counts().items())}")
    if account.unphysical:
        unphysical = counted(len(account.unphysical), "pair")
        click.echo(
            f"  {unphysical} without a physical well (bond shorter than 0.75 x the sum of covalent "
            f"radii); the lowest was kept: physical = 0 in {RUN_LOG}"
        )
    if account.done or account.resumed:
        click.echo(f"  now: python generate_raw_data.py collect {output}")
    if account.failed:
        failed = counted(len(account.failed), "pair")
        raise click.ClickException(f"{failed} failed; see {output / RUN_LOG}")


if __name__ == "__main__":
    main()
