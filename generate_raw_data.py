"""Make raw_data: collect the labels of all pairs from their DFTB+ output."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from twobody import ParseError, __version__
from twobody.collect import collect_pair
from twobody.errors import PairProblem
from twobody.label_files import BONDS_FILE, LABELS_FILE, PairLabels, write_label_files
from twobody.pairs import find_pairs


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Make raw_data."""


@main.command()
@click.argument("raw_data", default="raw_data", type=click.Path(path_type=Path))
def collect(raw_data: Path) -> None:
    """Work out the labels of every pair in RAW_DATA and write both CSV files there.

    Either both are written or, where any pair has a problem, none.
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
            click.echo(problem.error, err=True)
        if problems:
            raise click.ClickException(f"{len(problems)} problems; nothing was written")
        write_label_files(raw_data, pairs)
    except (ParseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{raw_data / LABELS_FILE}, {raw_data / BONDS_FILE}: {len(pairs)} pairs")


if __name__ == "__main__":
    main()
