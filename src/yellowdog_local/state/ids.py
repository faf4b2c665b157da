"""The platform's identifiers (ydids): creation and grammar. Imports nothing of the platform."""

from __future__ import annotations

import itertools
import random
import uuid

ACCOUNT = "10CA1D"


class Ids:
    """Creates identifiers, reproducibly if seeded."""

    def __init__(self, seed: int | None = None, instance_prefix: str = "i-sim-") -> None:
        self._instance_prefix = instance_prefix
        self._random = random.Random(seed)  # noqa: S311  identifiers are not secret
        self._instances = itertools.count(1)

    def new(self, kind: str) -> str:
        """A new identifier of a kind without a parent, such as `workreq` or `wrkrpool`."""
        return f"ydid:{kind}:{ACCOUNT}:{uuid.UUID(int=self._random.getrandbits(128), version=4)}"

    def instance(self) -> str:
        """A new id of an instance."""
        return f"{self._instance_prefix}{next(self._instances)}"


def child(kind: str, parent: str, number: int) -> str:
    """The identifier of the `number`-th part of `parent`, counted from 1."""
    return f"ydid:{kind}:{parent.split(':', 2)[2]}:{number}"


def is_ydid(text: str) -> bool:
    """Whether the text is an identifier rather than a name."""
    return text.startswith("ydid:")
