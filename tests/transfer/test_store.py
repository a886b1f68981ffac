"""Results in parts: stopped and continued they end the same; those of other data are refused."""

import gzip
from functools import partial

import numpy as np
import pytest

from twobody.errors import ParseError
from twobody.transfer.store import Store, cell

TASKS = {f"fold-{k}": partial(list, [["pair", f"X{k}", str(k), ""]]) for k in range(4)}


def store(folder, digest="aa" * 32):
    return Store(folder, "toy", ("split", "name"), ("number", "other"), {"data": digest})


def written(folder):
    return {p.name: p.read_bytes() for p in (folder / "transfer").rglob("*") if p.is_file()}


def test_results_are_one_file_and_a_card_and_read_as_they_were_written(tmp_path):
    store(tmp_path).run(TASKS, jobs=1)
    assert sorted(written(tmp_path)) == ["toy.csv.gz", "toy.toml"]
    table = store(tmp_path).read()
    assert table["name"].tolist() == ["X0", "X1", "X2", "X3"]
    assert table["number"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert table["other"].isna().all()


def test_several_processes_write_the_same(tmp_path):
    store(tmp_path / "one").run(TASKS, jobs=1)
    store(tmp_path / "two").run(TASKS, jobs=2)
    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_a_stopped_run_is_continued_where_it_ended_and_ends_the_same(tmp_path):
    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(tmp_path).run({**TASKS, "fold-2": fails}, jobs=1)
    assert sorted(written(tmp_path)) == ["fold-0.csv", "fold-1.csv"]
    done = []

    def counted(key):
        done.append(key)
        return TASKS[key]()

    store(tmp_path).run({key: partial(counted, key) for key in TASKS}, jobs=1)
    assert done == ["fold-2", "fold-3"]
    store(tmp_path).run({"fold-0": fails}, jobs=1)  # nothing is left to do
    store(tmp_path / "whole").run(TASKS, jobs=1)
    assert written(tmp_path / "whole") == {
        name: data for name, data in written(tmp_path).items() if "fold" not in name
    }


def test_a_run_that_another_overtakes_ends_with_the_same(tmp_path):
    def overtaken():
        store(tmp_path).run(TASKS, jobs=1)
        return TASKS["fold-1"]()

    store(tmp_path).run({**TASKS, "fold-1": overtaken}, jobs=1)
    assert sorted(written(tmp_path)) == ["toy.csv.gz", "toy.toml"]
    assert store(tmp_path).read()["name"].tolist() == ["X0", "X1", "X2", "X3"]


def test_parts_of_another_file_are_not_taken(tmp_path):
    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(tmp_path, "bb" * 32).run({**TASKS, "fold-1": fails}, jobs=1)
    done = []
    store(tmp_path).run({k: lambda k=k: done.append(k) or TASKS[k]() for k in TASKS}, jobs=1)
    assert done == list(TASKS)


def test_results_of_another_file_are_refused(tmp_path):
    store(tmp_path, "bb" * 32).run(TASKS, jobs=1)
    for use in (store(tmp_path).read, lambda: store(tmp_path).run(TASKS, jobs=1)):
        with pytest.raises(
            ParseError, match=r"toy\.toml: expected data aaaa.* as now, found 'bbbb"
        ):
            use()


def test_missing_and_damaged_results_are_refused(tmp_path):
    with pytest.raises(ParseError, match=r"toy\.toml: expected a readable file"):
        store(tmp_path).read()
    store(tmp_path).run(TASKS, jobs=1)
    file = store(tmp_path).file
    data = file.read_bytes()
    damaged = (
        data[:-12],
        data[:10] + bytes(30),
        gzip.compress(b"", mtime=0),
        gzip.compress(b'a,"b\n', mtime=0),
    )
    for bad in damaged:
        file.write_bytes(bad)
        with pytest.raises(ParseError, match=r"toy\.csv\.gz: expected a gzip file of CSV"):
            store(tmp_path).read()
    other = Store(tmp_path, "toy", ("split", "name"), ("length", "other"), {"data": "aa" * 32})
    file.write_bytes(data)
    with pytest.raises(
        ParseError, match=r"toy\.csv\.gz:1: expected the columns split, name, length"
    ):
        other.read()


def test_numbers_have_five_significant_digits():
    assert [cell(1.234567), cell(np.nan), cell(-0.00012345678)] == ["1.2346", "", "-0.00012346"]
