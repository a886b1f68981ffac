"""Make raw_data: run DFTB+ for many pairs, and collect the labels from its output."""

from __future__ import annotations

import math
import os
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from twobody import __version__
from twobody.campaign.run import RUN_LOG
from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import PairProblem
from twobody.progress import n_cores, one_message
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
Neither is needed for raw data that exist, such as the 2,850 pairs of the repository:
  python -m twobody generate collect RAW_DATA   works out the labels of DFTB+ output
  python -m twobody build RAW_DATA              builds the dataset"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Make raw_data."""


@main.command()
@click.argument("raw_data", default="raw_data", type=click.Path(path_type=Path))
@click.option("--skip-invalid", is_flag=True, help="Leave out pairs with problems, and list them.")
def collect(raw_data: Path, skip_invalid: bool) -> None:
    """Work out the labels of every pair in RAW_DATA and write both CSV files there.

    Where any pair has a problem, neither is written.
    """
    pairs: dict[str, PairLabels] = {}
    with one_message():
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
        left_out = len({problem.pair_name for problem in problems})
        kept = counted(len(pairs), "pair") + (f", {left_out} left out" if left_out else "")
        click.echo(f"{raw_data / LABELS_FILE}, {raw_data / BONDS_FILE}: {kept}")


class FiniteRange(click.FloatRange):
    """Numbers of a range without NaN and infinity, which click lets through."""

    def convert(self, value: Any, *place: Any) -> float:
        """Read a number."""
        number = float(super().convert(value, *place))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", *place)
        return number


PATH = click.Path(path_type=Path)
NOT_NEGATIVE, POSITIVE = FiniteRange(0), FiniteRange(0, min_open=True)


def element_list(text: str) -> list[str]:
    """Read ``H,C,O``."""
    elements = [symbol.strip() for symbol in text.split(",")]
    for symbol in elements:
        if symbol not in ATOMIC_NUMBERS:
            raise click.BadParameter(f"{symbol!r} is not an element")
    return elements


def pair_list(text: str) -> list[tuple[str, str]]:
    """Read ``Ag_Al,H_O``; the elements of a pair come in any order."""
    pairs = set()
    for name in text.split(","):
        elements = element_list(name.strip().replace("_", ","))
        if len(elements) != 2:
            raise click.BadParameter(f"{name!r} is not a pair (A_B)")
        pairs.add((min(elements), max(elements)))
    return sorted(pairs)


def factors(text: str) -> list[float]:
    """Read ``0.9,1.0,1.2``."""
    try:
        starts = sorted({float(factor) for factor in text.split(",")})
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers") from error
    if not all(0.1 <= factor <= 10 for factor in starts):
        raise click.BadParameter("factors are between 0.1 and 10")
    return starts


def command(text: str) -> list[str]:
    """Read a command line."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a command line: {error}") from error
    if not words:
        raise click.BadParameter("an empty command line")
    return words


@main.command(context_settings={"show_default": True})
@click.option("--skf", type=PATH, help="Folder of Slater-Koster files A-B.skf.")
@click.option("--elements", type=element_list, help="All pairs of these, as in H,C,O.")
@click.option("--pairs", type=pair_list, help="These pairs, as in Ag_Al,H_O.")
@click.option("--output", default="raw_data", type=PATH, help="Folder of the pairs' folders.")
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time; by default one per core.")
@click.option("--scheduler", help="Address of a Dask cluster that does the runs.")
@click.option(
    "--dftb-command",
    default="dftb+",
    envvar="DFTB_COMMAND",
    show_envvar=True,
    type=command,
    help="The program and its arguments.",
)
@click.option("--time-limit", default=600.0, type=POSITIVE, help="Of one run [s].")
@click.option("--dry-run", is_flag=True, help="Only write the inputs (of the first start).")
@click.option(
    "--starts",
    default="1.0",
    type=factors,
    help="Distances / sum of covalent radii, as in 0.9,1.0,1.2; keeps the lowest physical well.",
)
@click.option("--temperature", default=300.0, type=NOT_NEGATIVE, help="Of the electrons [K].")
@click.option("--scc-tolerance", default=1e-6, type=POSITIVE, help="Of charges [e].")
@click.option("--max-force", default=1e-4, type=POSITIVE, help="At the end [H/bohr].")
@click.option("--unpaired-electrons", type=NOT_NEGATIVE, help="Spin-polarised, with so many.")
@click.option("--extra-hsd", type=PATH, help="HSD to merge into every input.")
@one_message()
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
    extra_hsd: Path | None,
    **settings: Any,
) -> None:
    """Compute pairs with DFTB+: by default all pairs of the elements in the Slater-Koster files.

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
        from twobody.campaign import campaign, hsd_input, pools  # noqa: PLC0415  they need an extra

        if extra_hsd is not None:
            settings["extra"] = hsd_input.read_extra(extra_hsd)
        asked = hsd_input.Settings(**settings)
        chosen = campaign.all_pairs(elements) if elements else pairs
        plan = partial(campaign.plan, output, skf, chosen, asked, starts, time_limit)
        if dry_run:
            written, kept = campaign.write_inputs(output, plan(()))
            click.echo(f"{output}: {written} inputs written, {kept} pairs with outputs left alone")
            return
        pool = pools.cluster(scheduler) if scheduler else pools.this_machine(jobs or n_cores())
        with pool as (workers, compute):
            program = pools.find_program(workers, dftb_command)
            if program is None:
                where = "here" if scheduler is None else "on the cluster"
                raise click.ClickException(f"{dftb_command[0]} was not found {where}. {HOW_TO}")
            account = campaign.run_campaign(output, plan(program), workers, compute)
        report(output, account)
    except ModuleNotFoundError as error:
        extra = "generate" if scheduler is None else "dask"
        install = f'python -m pip install "twobody-dataset[{extra}]"'
        raise click.ClickException(f"{error.name} is not installed: {install}") from error
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on from here", err=True)
        raise SystemExit(130) from None


def report(output: Path, account: Account) -> None:
    """Say what came of the pairs; exit with status 1 where some failed."""
    for what, pairs in {
        "computed with other settings than asked for": account.retried,
        "computed, but not from every start": account.lost_starts,
        "failed": account.failed,
    }.items():
        for pair, reason in sorted(pairs.items()):
            click.echo(f"{pair} {what}: {reason}", err=True)
    click.echo(f"{output}: {', '.join(f'{n} {name}' for name, n in account.counts().items())}")
    if account.unphysical:
        click.echo(
            f"  {counted(len(account.unphysical), 'pair')} without a physical well (bond shorter "
            "than 0.75 x the sum of covalent radii); the lowest well was kept"
        )
    if account.done or account.resumed:
        click.echo(f"  now: python -m twobody generate collect {output}")
    if account.failed:
        failed = counted(len(account.failed), "pair")
        raise click.ClickException(f"{failed} failed; see {output / RUN_LOG}")


if __name__ == "__main__":
    main()
