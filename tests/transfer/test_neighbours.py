"""Neighbours within a radius and triplets of them, against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twobody.transfer.neighbours import neighbours, triplets
from twobody.transfer.structures import Source, Structures


def structures_of(*positions):
    sizes = [len(xyz) for xyz in positions]
    return Structures(
        np.array([str(k) for k in range(len(sizes))]),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.ones(sum(sizes), np.int64),
        np.concatenate(positions).astype(float),
        {"energy_eV": np.arange(len(sizes), dtype=float)},
    )


def test_the_edges_of_two_structures_that_lie_on_top_of_each_other():
    line = [[0, 0, 0], [1, 0, 0], [3, 0, 0]]
    edges, offsets = neighbours(structures_of(line, line[:2]), 2.0)
    # Distances 1, 3 and 2 within the radius of 2; atoms 3 and 4 are those of the second.
    assert edges.T.tolist() == [[1, 0], [0, 1], [2, 1], [1, 2], [4, 3], [3, 4]]
    assert offsets.tolist() == [0, 4, 6]


def test_a_single_atom_has_no_edge():
    edges, offsets = neighbours(structures_of([[0, 0, 0]], [[0, 0, 0], [0, 0, 1]]), 5.0)
    assert edges.T.tolist() == [[2, 1], [1, 2]]
    assert offsets.tolist() == [0, 0, 2]


positions = hnp.arrays(
    float, st.tuples(st.integers(1, 6), st.just(3)), elements=st.integers(-4, 4).map(float)
)


@given(st.lists(positions, min_size=1, max_size=4), st.sampled_from([0.5, 2.2, 4.1]))
def test_edges_are_those_of_a_loop_over_all_pairs_of_atoms(several, cutoff):
    structures = structures_of(*several)
    edges, offsets = neighbours(structures, cutoff)
    expected = {
        (i, j)
        for first, last in zip(structures.offsets[:-1], structures.offsets[1:], strict=True)
        for i in range(first, last)
        for j in range(first, last)
        if i != j and np.linalg.norm(structures.positions[i] - structures.positions[j]) <= cutoff
    }
    assert set(map(tuple, edges.T.tolist())) == expected
    assert edges.shape[1] == len(expected) == offsets[-1]
    owner = np.searchsorted(structures.offsets, edges, side="right") - 1
    assert (owner[0] == owner[1]).all()
    np.testing.assert_array_equal(np.bincount(owner[1], minlength=len(several)), np.diff(offsets))


@given(positions, st.sampled_from([2.2, 4.1]))
def test_triplets_are_those_of_a_loop_over_all_pairs_of_edges(xyz, cutoff):
    edges, _ = neighbours(structures_of(xyz), cutoff)
    n = edges.shape[1]
    expected = {
        (kj, ji)
        for kj in range(n)
        for ji in range(n)
        if edges[1, kj] == edges[0, ji] and edges[0, kj] != edges[1, ji]
    }
    found = triplets(edges)
    assert set(map(tuple, found.T.tolist())) == expected
    assert found.shape[1] == len(expected)
    assert (np.diff(found[1]) >= 0).all()


def test_taken_structures_are_whole():
    structures = structures_of([[0, 0, 0]], [[1, 0, 0], [2, 0, 0]], [[3, 0, 0]])
    taken = structures.take(np.array([2, 1, 1]))
    assert taken.names.tolist() == ["2", "1", "1"]
    assert taken.offsets.tolist() == [0, 1, 3, 5]
    assert taken.positions[:, 0].tolist() == [3, 1, 2, 1, 2]
    assert taken.targets["energy_eV"].tolist() == [2, 1, 1]


def test_a_limited_source_keeps_the_first_of_training_and_all_of_the_test():
    structures = structures_of(*[[[k, 0, 0]] for k in range(6)])
    source = Source(
        "s", structures, frozenset(), np.array([5, 3, 1]), np.array([0]), np.array([4, 2])
    )
    small = source.limited(2)
    parts = (small.train, small.validation, small.test)
    assert [small.structures.names[rows].tolist() for rows in parts] == [
        ["5", "3"],
        ["0"],
        ["4", "2"],
    ]
    with pytest.raises(ValueError, match="s has 3 structures to train on, not 4"):
        source.limited(4)
