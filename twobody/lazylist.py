"""A list whose items are made when someone looks at them.

A data loader asks a dataset for the list of samples of a batch, and then makes one batch of them. A
dataset that can make the batch at once needs the list only where other code wants to see it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T")

_OF_ANY_OBJECT = ("__new__", "__init__", "__getattribute__", "__class_getitem__")


class LazyList(list[T]):
    """A list, empty until the first use of anything that a list can do.

    Copies and pickles are plain lists.

    Parameters
    ----------
    make : function
        Makes the items.
    """

    def __init__(self, make: Callable[[], list[T]]) -> None:
        super().__init__()
        self._make: Callable[[], list[T]] | None = make

    def looked_at(self) -> bool:
        """Tell whether the items have been made, and may have been changed."""
        return self._make is None

    def fill(self) -> None:
        """Make the items, unless they have been made."""
        if self._make is not None:
            items = self._make()
            self._make = None
            self.extend(items)

    def __reduce__(self) -> tuple[type[list[T]], tuple[list[T]]]:
        return list, (list(self),)

    def __radd__(self, other: list[T]) -> list[T]:
        return other + list(self)


def _after_filling(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: LazyList[Any], *arguments: Any, **options: Any) -> Any:
        self.fill()
        return method(self, *arguments, **options)

    return call


# All that reads or changes a list; a method left out would see an empty one.
for _name, _method in vars(list).items():
    if inspect.isroutine(_method) and _name not in _OF_ANY_OBJECT:
        setattr(LazyList, _name, _after_filling(_method))
