"""Files of predictions: the same bytes every time, read as written, every fault an error."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import perfect

from twobody import ParseError
from twobody.benchmark.predictions import (
    MOST_BYTES,
    format_predictions,
    read_predictions,
    rounded,
    scored_rows,
)


@pytest.fixture(scope="module")
def predictions(pairs):
    whole = perfect(pairs, "element", "geometry", n_seeds=2)
    kept = ("e_g_ev", "total_energy_ev", "metal_like")
    return replace(whole, columns={name: rounded(whole.columns[name]) for name in kept})


@pytest.fixture(scope="module")
def lines(predictions):
    return gzip.decompress(format_predictions(predictions)).decode().splitlines()


def test_a_file_is_read_as_it_was_written(tmp_path, predictions):
    path = tmp_path / "model.csv.gz"
    path.write_bytes(format_predictions(predictions))
    read = read_predictions(path, "element", "geometry")
    assert (read.split, read.track, read.folds) == ("element", "geometry", (1, 2, 3, 4, 5))
    assert read.seeds == predictions.seeds == (0, 1)
    assert read.columns.keys() == predictions.columns.keys()
    for name, column in predictions.columns.items():
        assert (read.columns[name] == column).all()


def test_the_file_is_plain_csv_with_the_columns_of_the_contract(lines, predictions):
    assert lines[0] == "pair_name,fold,part,seed,e_g_ev,total_energy_ev,metal_like"
    assert len(lines) == 1 + 2 * 5 * 1020
    gap, total = (predictions.columns[name][0, 0] for name in ("e_g_ev", "total_energy_ev"))
    flag = predictions.columns["metal_like"][0, 0]
    name, part = predictions.rows.names[0], predictions.rows.parts[0]
    assert lines[1] == f"{name},1,{part},0,{gap:.5g},{total:.5g},{flag:.5g}"


def test_the_bytes_are_the_same_every_time(predictions):
    data = format_predictions(predictions)
    assert data == format_predictions(predictions)
    assert data[4:8] == bytes(4)  # no time (RFC 1952)


def test_rows_may_come_in_any_order_and_uncompressed(tmp_path, lines, predictions):
    path = tmp_path / "model.csv"
    path.write_text("\r\n".join([lines[0], *lines[:0:-1]]), encoding="utf-8")
    read = read_predictions(path, "element", "geometry")
    for name, column in predictions.columns.items():
        assert (read.columns[name] == column).all()


@given(st.floats(-1e30, 1e30))
def test_five_digits_survive_the_file(value):
    (once,) = rounded(np.array([value]))
    assert float(f"{once:.5g}") == once
    assert abs(once - value) <= 5e-5 * abs(value)


def line_of(lines, start):
    return next(i for i, line in enumerate(lines) if line.startswith(start))


def header(old, new):
    return lambda lines: [lines[0].replace(old, new), *lines[1:]]


def first_row(**cells):
    def change(lines):
        row = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
        assert cells.keys() <= row.keys()
        return [lines[0], ",".join({**row, **cells}.values()), *lines[2:]]

    return change


FAULTS = {
    "no rows": (lambda lines: lines[:1], "every test pair of element in every fold with seed 0"),
    "a pair twice": (lambda lines: [*lines, lines[1]], "once in fold 1 with seed 0"),
    "a pair missing": (lambda lines: [*lines[:5], *lines[6:]], "every test pair of element"),
    "a fold missing": (
        lambda lines: [line for line in lines if line.split(",")[1] != "3"],
        "every test pair of element in every fold with seed 0, found no",
    ),
    "a seed of one fold only": (
        lambda lines: [line for line in lines if line.split(",")[1:4:2] != ["3", "1"]],
        "every test pair of element in every fold with seed 1, found no",
    ),
    "an unknown pair": (first_row(pair_name="Ag_Uuo"), ":2: expected the name of a pair"),
    "a swapped name": (first_row(pair_name="Br_Ag"), ":2: expected the name of a pair"),
    "a fold of training": (first_row(fold="2"), ":2: expected a fold of element that tests"),
    "no fold": (first_row(fold="x"), ":2: expected a fold, an integer, found 'x'"),
    "another part": (first_row(part="C3"), ":2: expected part C2 for"),
    "no seed": (first_row(seed="0.5"), ":2: expected a seed, an integer"),
    "NaN": (first_row(e_g_ev="nan"), "finite numbers for e_g_ev, found nan for"),
    "an infinite value": (first_row(e_g_ev="inf"), "finite numbers for e_g_ev, found inf for"),
    "too large a value": (first_row(e_g_ev="1e999"), "finite numbers for e_g_ev, found inf for"),
    "an empty cell": (first_row(e_g_ev=""), ":2: expected a number for e_g_ev, found ''"),
    "a text": (first_row(total_energy_ev="low"), ":2: expected a number for total_energy_ev"),
    "no probability": (first_row(metal_like="1.5"), "probabilities, 0 to 1, for metal_like"),
    "a cell too many": (
        lambda lines: [lines[0], lines[1] + ",1", *lines[2:]],
        ":2: expected 7 cells, found 8",
    ),
    "a line cut off": (lambda lines: [*lines[:-1], lines[-1][:8]], "expected 7 cells"),
    "an empty line": (lambda lines: [lines[0], "", *lines[1:]], ":2: expected 7 cells, found 0"),
    "an open quote": (lambda lines: [lines[0], '"' + lines[1], *lines[2:]], "expected"),
    "no header": (lambda lines: lines[1:], ":1: expected the columns pair_name, fold, part, seed"),
    "nothing": (lambda _: [], ":1: expected the columns pair_name"),
    "columns in another order": (header("fold,part", "part,fold"), ":1: expected the columns"),
    "a column that leaks": (
        header("e_g_ev", "distance_ang"),
        ":1: expected no label that the track geometry shows, found 'distance_ang', which leaks",
    ),
    "a derived label": (
        header("e_g_ev", "eta_ev"),
        ":1: expected independent targets only, found 'eta_ev', which follows from others",
    ),
    "an unknown label": (header("e_g_ev", "gap"), ":1: expected labels among"),
    "a label twice": (header("e_g_ev", "total_energy_ev"), ":1: expected every label once"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_error(tmp_path, lines, fault):
    change, message = FAULTS[fault]
    path = tmp_path / "model.csv.gz"
    path.write_bytes(gzip.compress("\n".join(change(lines)).encode()))
    with pytest.raises(ParseError) as error:
        read_predictions(path, "element", "geometry")
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_targets_are_needed(tmp_path, lines):
    path = tmp_path / "model.csv"
    path.write_text("\n".join(",".join(line.split(",")[:4]) for line in lines), encoding="utf-8")
    with pytest.raises(ParseError, match="a target among"):
        read_predictions(path, "element", "geometry")


@pytest.mark.parametrize(("track", "leaks"), [("elements", 0), ("geometry", 1), ("density", 3)])
def test_a_track_scores_what_it_does_not_show(pairs, tmp_path, track, leaks):
    path = tmp_path / "model.csv.gz"
    path.write_bytes(format_predictions(perfect(pairs, "pair", "elements")))
    if leaks:
        with pytest.raises(ParseError, match=f"no label that the track {track} shows"):
            read_predictions(path, "pair", track)
    else:
        assert len(read_predictions(path, "pair", track).columns) == 13
    assert len(perfect(pairs, "pair", track).columns) == 13 - leaks


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + bytes(90)])
def test_a_damaged_file_is_refused(tmp_path, predictions, damage):
    path = tmp_path / "model.csv.gz"
    path.write_bytes(damage(format_predictions(predictions)))
    with pytest.raises(ParseError, match="a gzip file"):
        read_predictions(path, "element", "geometry")


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path):
    path = tmp_path / "model.csv.gz"
    path.write_bytes(gzip.compress(bytes(MOST_BYTES + 1), 1))
    with pytest.raises(ParseError, match=f"at most {MOST_BYTES} bytes"):
        read_predictions(path, "element", "geometry")


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    with pytest.raises(ParseError, match="a readable file"):
        read_predictions(tmp_path / "none.csv.gz", "element", "geometry")
    (tmp_path / "bytes.csv").write_bytes(b"pair_name\xff")
    with pytest.raises(ParseError, match="UTF-8 text"):
        read_predictions(tmp_path / "bytes.csv", "element", "geometry")


def test_rows_are_those_of_the_splits():
    rows = scored_rows("period", (5,))
    assert set(rows.folds.tolist()) == {5}
    assert sorted(set(rows.parts.tolist())) == ["C2", "C3"]
    assert rows.names.tolist() == sorted(rows.names.tolist())
    every = scored_rows("period", (4, 5, 6))
    assert (every.names[every.folds == 5] == rows.names).all()
