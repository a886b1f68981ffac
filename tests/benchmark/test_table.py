"""The leaderboard: marks, order and numbers by hand; a page that is not of the results is stale."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import perfect

from twobody import ParseError
from twobody.archive import read
from twobody.benchmark import table
from twobody.benchmark.evaluate import Evaluator
from twobody.benchmark.results import Result, Run, read_results, write_result

ROOT = Path(__file__).resolve().parents[2]
MARKS = "<!-- leaderboard: {} -->", "<!-- end of leaderboard -->"


def page(name, content=""):
    begin, end = MARKS
    return f"# Page\n\n{begin.format(name)}\n{content}{end}\nafter\n"


@pytest.fixture(scope="module")
def results(pairs, evaluator, tmp_path_factory):
    """Write models whose error is known: `sharp` off by 0.1, `blunt` by 2, `equal` by 0.1 too."""
    folder = tmp_path_factory.mktemp("results")
    rng = np.random.default_rng(0)

    def store(model, track, errors, splits=("pair", "element", "period")):
        for split in splits:
            right = perfect(pairs, split, track, n_seeds=len(errors))
            columns = {}
            for name, values in right.columns.items():
                wrong = values + np.array(errors)[:, None] * rng.choice([-1, 1], values.shape)
                columns[name] = values if name == "metal_like" else wrong
            seeds = right.seeds
            run = Run(split, track, seeds, evaluator.digest, parameters=1234, seconds=30.0)
            predictions = replace(right, columns=columns)
            write_result(folder, Result(model, f"{model} sees", run, predictions))

    store("blunt", "elements", [2.0])
    store("sharp", "elements", [0.1, 0.1])
    store("median", "elements", [3.0], splits=("pair", "element"))
    store("additive", "elements", [1.0])
    store("other", "geometry", [2.0])
    return folder


@pytest.fixture(scope="module")
def blocks(results, evaluator):
    return table.leaderboard(results, evaluator)


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_constants_come_first_then_tracks_and_the_better_before_the_worse(blocks):
    found = [(line.title, line.track) for line in blocks["pair", "C1"]]
    assert found == [
        ("median", "elements"),
        ("additive", "elements"),
        ("sharp × 2", "elements"),
        ("sharp", "elements"),
        ("blunt", "elements"),
        ("other", "geometry"),
    ]


def test_the_short_table_has_single_models_and_marks_the_best_of_each_track(blocks):
    text = table.short_table(blocks)
    assert text.splitlines()[0].startswith(
        "| model | track | pair: gap | pair: HOMO | pair: total |"
    )
    found = {row[0]: row[1:] for row in rows(text)}
    assert list(found) == ["`median`", "`additive`", "`sharp`", "`blunt`", "`other`"]
    assert found["`median`"] == ["elements", *["3.00"] * 9, *["–"] * 3]  # not run on periods
    assert found["`additive`"] == ["elements", *["1.00"] * 12]
    assert found["`sharp`"] == ["elements", *["**0.100**"] * 12]
    assert found["`blunt`"] == ["elements", *["2.00"] * 12]
    assert found["`other`"] == ["geometry", *["**2.00**"] * 12]


def test_the_whole_table_has_every_block_target_and_interval(blocks):
    text = table.whole_table(blocks)
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [
        "A new pair of known elements: `pair`, C1",
        "One element new: `element`, C2",
        "Both elements new: `element`, C3",
        "One element of a new period: `period`, C2",
        "Both elements of a new period: `period`, C3",
    ]
    heads = [line for line in text.splitlines() if line.startswith("| model")]
    assert "gap [eV]" in heads[0]
    assert "χ † [eV]" in heads[1]
    assert len(heads) == 2 * 5
    first, *_ = text.split("### ")[2].split("\nWhat follows")
    found = {row[0]: row for row in rows(first)}
    assert found["`blunt`"][2] == "2.00<br>2.00 – 2.00"
    assert found["`sharp`"][2] == "0.100<br>0.100 – 0.100"  # two that err apart are better
    assert found["`sharp × 2`"][2].startswith("**0.05")
    assert found["`sharp`"][-4:] == ["1.000", "1.000", "1,234", "3.00"]
    assert found["`sharp × 2`"][-2:] == ["2,468", "6.00"]
    assert found["`other`"][13] == "–"  # the distance, which geometry shows


def test_what_each_model_sees_is_listed(blocks):
    assert ["`sharp`", "sharp sees", "–", "", "0.1.0"] in rows(table.models_table(blocks))


def test_a_model_that_ran_on_two_devices_is_listed_with_both(blocks):
    (line, *_) = (line for line in blocks["pair", "C1"] if line.model == "sharp")
    ran = {"elements": "card", "geometry": "card", "density": "cpu"}
    lines = [
        replace(line, track=track, run=replace(line.run, device=device))
        for track, device in ran.items()
    ]
    (found,) = rows(table.models_table({("pair", "C1"): lines}))[-1:]
    assert found[3] == "card: elements, geometry; cpu: density"


def test_a_page_gets_the_tables_of_the_results_and_a_stale_one_is_found(blocks):
    new = table.with_leaderboard(page("short"), blocks)
    assert new == page("short", f"\n{table.short_table(blocks)}\n")
    assert table.with_leaderboard(new, blocks) == new
    stale = new.replace("0.100", "0.099", 1)
    assert table.with_leaderboard(stale, blocks) == new != stale
    for name in ("whole", "models", "context"):
        assert "\n| " in table.with_leaderboard(page(name), blocks)


def test_the_pages_are_those_of_the_results(archive):
    """Without results there is no leaderboard, not an old one."""
    folder = ROOT / "results"
    board = table.leaderboard(folder, Evaluator(read(archive))) if folder.exists() else None
    for name in table.PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "<!-- leaderboard: " in text
        if board is None:
            assert table._MARKED.sub(r"\1\3", text) == text
        else:
            assert table.with_leaderboard(text, board) == text


@pytest.fixture
def copy(results, tmp_path):
    return Path(shutil.copytree(results, tmp_path / "results"))


def test_a_changed_prediction_changes_the_table(copy, evaluator, blocks):
    import gzip

    path = copy / "predictions" / "blunt-pair-elements.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:4], "1000", *cells[5:]])
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert table.short_table(table.leaderboard(copy, evaluator)) != table.short_table(blocks)


def card(copy):
    return copy / "models" / "blunt.toml"


def edit(old, new):
    def change(copy):
        text = card(copy).read_text(encoding="utf-8")
        assert old in text
        card(copy).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def without_pair(copy):
    text = card(copy).read_text(encoding="utf-8")
    begin, end = text.index("[pair-elements]"), text.index("[element-elements]")
    card(copy).write_text(text[:begin] + text[end:], encoding="utf-8")


FAULTS = {
    "no card": (lambda copy: card(copy).unlink(), "expected a card, blunt-element-elements.toml"),
    "no TOML": (lambda copy: card(copy).write_text("name"), "blunt.toml: expected TOML"),
    "no name": (edit('name = "blunt"\n', ""), "a name of letters, digits and underscores"),
    "a name that leads elsewhere": (edit('"blunt"', '"../blunt"'), "a name of letters"),
    "no sees": (edit("sees = ", "says = "), "a text sees"),
    "an unknown entry": (edit("seconds = ", "hours = 1\nseconds = "), "known entries in [pair"),
    "no table": (without_pair, "a table [pair-elements] for blunt-pair-elements.csv.gz"),
    "no digest": (edit("labels = ", "label = "), "a table [pair-elements] with labels"),
    "another type": (edit("parameters = 1234", "parameters = true"), "parameters, a int"),
    "no seeds": (edit("seeds = [0]", "seeds = []"), "seeds, a tuple"),
    "the card of another": (edit('"blunt"', '"sharp"'), "the card of blunt-element-elements.csv"),
    "another split": (edit('split = "pair"', 'split = "period"'), "track of [pair-elements] in it"),
    "other seeds": (edit("seeds = [0]", "seeds = [1]"), "the seeds [1] of blunt.toml"),
    "another track": (edit('track = "elements"', 'track = "all"'), "a split (pair, element, per"),
    "another archive": (edit('labels = "', 'labels = "0'), "expected labels of SHA-256"),
    "other splits": (edit('splits = "', 'splits = "0'), "expected splits of SHA-256"),
    "no predictions": (
        lambda copy: (copy / "predictions" / "blunt-pair-elements.csv.gz").unlink(),
        "blunt.toml: expected predictions of blunt for pair-elements, found none",
    ),
    "nothing": (shutil.rmtree, "expected files *.csv.gz, found none"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_results_is_one_clear_error(copy, evaluator, fault):
    change, message = FAULTS[fault]
    change(copy)
    with pytest.raises(ParseError) as error:
        read_results(copy, evaluator.digest)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.06214, "0.0621"), (0.0021049, "0.0021"), (0.00004, "0.0000"), (2.345, "2.35"), (0, "0"),
     (12.34, "12.3"), (160.6, "161"), (1234.5, "1234"), (0.09996, "0.100"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert table.significant(value) == text
