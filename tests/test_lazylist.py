"""A lazy list is any other list, made late."""

import copy
import pickle

import pytest

from twobody.lazylist import LazyList

USES = {
    "length": len,
    "truth": bool,
    "first": lambda items: items[0],
    "slice": lambda items: items[1:],
    "iteration": list,
    "backwards": lambda items: list(reversed(items)),
    "unpacked": lambda items: [*items],
    "columns": lambda items: list(zip(*[items, items], strict=True)),
    "arguments": lambda items: max(*items),
    "sorted": sorted,
    "tuple": tuple,
    "contains": lambda items: 2 in items,
    "index": lambda items: items.index(2),
    "count": lambda items: items.count(2),
    "equal": lambda items: items == [3, 1, 2],
    "equal from the left": lambda items: [3, 1, 2] == items,  # noqa: SIM300 - the other side's method
    "less": lambda items: items < [4],
    "sum": lambda items: items + [5],  # noqa: RUF005 - the operator is meant
    "sum from the left": lambda items: [5] + items,  # noqa: RUF005
    "multiple": lambda items: items * 2,
    "multiple from the left": lambda items: 2 * items,
    "extended by it": lambda items: (new := [5]).extend(items) or new,
    "text": repr,
    "copy": lambda items: items.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda items: pickle.loads(pickle.dumps(items)),  # noqa: S301 - written here
    "append": lambda items: items.append(4) or list(items),
    "extend": lambda items: items.extend([4]) or list(items),
    "insert": lambda items: items.insert(1, 4) or list(items),
    "replace": lambda items: items.__setitem__(0, 4) or list(items),
    "delete": lambda items: items.__delitem__(0) or list(items),
    "remove": lambda items: items.remove(1) or list(items),
    "pop": lambda items: (items.pop(), list(items)),
    "reverse": lambda items: items.reverse() or list(items),
    "sort": lambda items: items.sort() or list(items),
    "clear": lambda items: items.clear() or list(items),
}


@pytest.mark.parametrize("use", USES)
def test_it_is_used_as_a_list_is(use):
    calls = []
    lazy = LazyList(lambda: calls.append(1) or [3, 1, 2])
    assert isinstance(lazy, list)
    assert (calls, lazy.looked_at()) == ([], False)
    assert USES[use](lazy) == USES[use]([3, 1, 2])
    assert (calls, lazy.looked_at()) == ([1], True)


def test_every_method_of_a_list_is_covered():
    left_alone = {"__new__", "__init__", "__getattribute__", "__class_getitem__"}
    own = {name for name in vars(list) if callable(getattr(list, name))} - left_alone
    assert own - vars(LazyList).keys() == set()


def test_items_that_cannot_be_made_are_not_taken_for_none():
    calls = []

    def fails_once() -> list[int]:
        calls.append(len(calls))
        if len(calls) == 1:
            raise MemoryError
        return [3, 1, 2]

    items = LazyList(fails_once)
    with pytest.raises(MemoryError):
        len(items)
    assert items == [3, 1, 2]
