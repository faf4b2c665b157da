"""Attributes that are made at their first use, once, whichever thread comes first. Imports nothing of this package."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class HasLazyParts:
    """Base of a class with `lazy` attributes.

    Attributes:
        lazy_lock: held while an attribute is made; one attribute may need another.
    """

    def __init__(self) -> None:
        self.lazy_lock = threading.RLock()

    def is_made(self, name: str) -> bool:
        """Whether a `lazy` attribute exists already."""
        return name in self.__dict__


class lazy(Generic[T]):  # noqa: N801 - used like `property`
    """A method whose result becomes a plain attribute, which costs nothing to read from then on."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = ""
        self.__doc__ = make.__doc__

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: HasLazyParts, _: type) -> T:
        with owner.lazy_lock:
            if self._name not in owner.__dict__:
                owner.__dict__[self._name] = self._make(owner)
            made: T = owner.__dict__[self._name]
            return made
