"""The scripts as one command: ``twobody build``, and so on."""

from __future__ import annotations

from importlib import import_module

import click

from twobody import __version__

SCRIPTS = {
    "build": "build_dataset",
    "check": "check_npz",
    "generate": "generate_raw_data",
    "benchmark": "benchmark",
}


class Scripts(click.Group):
    """A command for each script, which is imported when it is asked for."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(SCRIPTS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Return the command of a script."""
        return import_module(SCRIPTS[name]).main if name in SCRIPTS else None


@click.command(cls=Scripts, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Build, check, make and learn from a dataset of two-body quantum systems."""


if __name__ == "__main__":
    main(prog_name="twobody")
