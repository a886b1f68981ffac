"""What pyproject.toml cannot say of a wheel: its README elsewhere, and the types of two modules."""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithStubs(build_py):
    """Put a copy of each dataset's module beside it as its stub package.

    Type checkers look at no source of a module that is outside a package with ``py.typed``.
    """

    def run(self) -> None:
        """Copy the modules."""
        super().run()
        for name in ("pytorch_dataset", "pytorch_geometric_dataset"):
            stubs = Path(self.build_lib, f"{name}-stubs")
            stubs.mkdir(exist_ok=True)
            shutil.copyfile(f"{name}.py", stubs / "__init__.pyi")


def readme() -> str:
    """Return README.md for where the files that it links to are not: as text, without pictures."""
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^!\[.*\n\n?", "", text)
    return re.sub(r"\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", text)


setup(
    cmdclass={"build_py": BuildWithStubs},
    long_description=readme(),
    long_description_content_type="text/markdown",
)
