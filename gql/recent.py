"""A bounded memory of what was made last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The values that were asked for last, together of no more than a certain weight; others are made anew."""

    def __init__(self, capacity: int, weight: Callable[[Key, Value], int] = lambda _key, _value: 1) -> None:
        self._capacity = capacity
        self._weight = weight
        self._total = 0
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """What `make` raises is not kept."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        self._total += self._weight(key, value)
        while self._total > self._capacity:
            self._total -= self._weight(*self._values.popitem(last=False))
        return value
