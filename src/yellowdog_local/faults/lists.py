"""Lists that lag: hides records that were created too recently. Identifies records by their sequence number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from yellowdog_local.faults.registry import Faults
from yellowdog_local.faults.rules import ListingLag, Rule
from yellowdog_local.state.kernel import Kernel


class Sequenced(Protocol):
    """A record with its place in the order of creation."""

    @property
    def seq(self) -> int:
        """Its sequence number."""


_S = TypeVar("_S", bound=Sequenced)


class LaggingLists:
    """Filters lists while a rule is active. Records older than the rule are always shown.

    Not all records have a creation time, so the kernel notes a time for each sequence number while a rule is active.
    """

    def __init__(self, kernel: Kernel, faults: Faults) -> None:
        self._kernel = kernel
        self._faults = faults
        self._first: dict[str, int] = {}
        faults.listeners.added.append(self._added)
        faults.listeners.removed.append(self._removed)

    def visible(self, method: str, route: str, records: Sequence[_S]) -> Sequence[_S]:
        """The records that a call lists now. Called under the platform's lock."""
        if not self._faults.has_list_rules:
            return records
        hit = self._faults.apply(ListingLag, lambda rule: rule.matches_call(method, route, route))
        if hit is None:
            return records
        horizon = self._kernel.clock.now() - timedelta(seconds=hit.rule.seconds)
        newest = max(self._first.get(hit.id, 0), self._newest_at(horizon))
        return [record for record in records if record.seq <= newest]

    def _newest_at(self, moment: datetime) -> int:
        made = self._kernel.made or []
        place = bisect_right(made, moment, key=lambda pair: pair[0])
        return made[place - 1][1] if place else 0

    def _added(self, rule_id: str, rule: Rule) -> None:
        if not isinstance(rule, ListingLag):
            return
        with self._kernel.locked():
            self._first[rule_id] = self._kernel.sequence
            if self._kernel.made is None:
                self._kernel.made = []

    def _removed(self) -> None:
        with self._kernel.locked():
            self._first = {rule_id: first for rule_id, first in self._first.items() if self._faults.is_active(rule_id)}
            if not self._first:
                self._kernel.made = None
