"""After a change: put the tables of the schema into the pages, and the pairs into the package.

``python -m docs.make_tables``, where `build_dataset.py` has built ``dataset_combined.npz``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from twobody.archive.layout import ARCHIVE, SHIPPED
from twobody.archive.reader import read
from twobody.archive.writer import write_numbers
from twobody.encodings.published import PUBLISHED
from twobody.publish.schema_tables import channel_table, label_table, member_table

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "docs" / "data.md",)

TABLES: dict[str, Callable[[], str]] = {
    "members": partial(member_table, PUBLISHED),
    "labels": label_table,
    "channels": partial(channel_table, PUBLISHED),
}
_REGION = re.compile(r"(?ms)^(<!-- table: (\w+) -->\n).*?^(<!-- end -->)$")


def with_tables(page: str) -> str:
    """Return the text of a page with its marked tables as the schema has them now."""
    return _REGION.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", page)


if __name__ == "__main__":
    for path in PAGES:
        old = path.read_text(encoding="utf-8")
        path.write_text(with_tables(old), encoding="utf-8", newline="\n")
    pairs = read(ROOT / ARCHIVE)
    with SHIPPED.open("wb") as file:
        write_numbers(file, pairs)
