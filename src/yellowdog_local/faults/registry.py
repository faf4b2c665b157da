"""The active rules, and which of them applies when. Calls and machines are described by the caller."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic

from yellowdog_local.call_patterns import is_private
from yellowdog_local.errors import NotFound
from yellowdog_local.faults.rules import CallFault, KeyRevoked, ListingLag, R, Rule


@dataclass(frozen=True)
class RuleState:
    """The state of an active rule.

    Attributes:
        id: its id.
        rule: the rule.
        matched: number of calls, machines or tasks that it has matched.
        applied: number of those to which it was applied.
    """

    id: str
    rule: Rule
    matched: int
    applied: int

    @property
    def spent(self) -> bool:
        """Whether it has been applied as often as it may be."""
        return self.rule.most is not None and self.applied >= self.rule.most


@dataclass(frozen=True)
class Hit(Generic[R]):
    """A rule that applies now, and its id."""

    id: str
    rule: R


@dataclass(eq=False)
class _Entry:
    id: str
    rule: Rule
    random: random.Random
    matched: int = 0
    applied: int = 0

    def applies(self, *, free: bool) -> bool:
        """Count a match; whether the rule applies to it. `free`: no other rule applies already."""
        self.matched += 1
        rule = self.rule
        if not free or (rule.nth is not None and self.matched < rule.nth):
            return False
        if rule.most is not None and self.applied >= rule.most:
            return False
        if rule.probability is not None and self.random.random() >= rule.probability:
            return False
        self.applied += 1
        return True


@dataclass
class Listeners:
    """Callbacks for added and removed rules, called without a lock."""

    added: list[Callable[[str, Rule], None]] = field(default_factory=list)
    removed: list[Callable[[], None]] = field(default_factory=list)


class Faults:
    """The faults of one platform. May be used from any thread, with or without the platform's lock."""

    def __init__(self) -> None:
        self.listeners = Listeners()
        # Read by every call, so that a platform without rules pays for nothing else.
        self.has_call_rules = False
        self.has_list_rules = False
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._added = 0

    def add(self, rule: Rule) -> str:
        """Activate a rule; its id. Of several matching rules, the one added first applies."""
        with self._lock:
            self._added += 1
            rule_id = f"fault-{self._added}"
            seeded = random.Random(rule.seed)  # noqa: S311  no secret depends on it
            self._entries[rule_id] = _Entry(rule_id, rule, seeded)
            self._note_kinds()
        for listener in tuple(self.listeners.added):
            listener(rule_id, rule)
        return rule_id

    def remove(self, rule_id: str) -> None:
        """Remove a rule. Effects that have taken place stay.

        Raises:
            NotFound: there is none with this id.
        """
        with self._lock:
            if self._entries.pop(rule_id, None) is None:
                raise NotFound("Fault", rule_id)
            self._note_kinds()
        self._notify_removed()

    def clear(self) -> None:
        """Remove all rules."""
        with self._lock:
            self._entries.clear()
            self._note_kinds()
        self._notify_removed()

    @contextmanager
    def during(self, *rules: Rule) -> Iterator[list[str]]:
        """Activate rules for the length of a block; yields their ids."""
        added = [self.add(rule) for rule in rules]
        try:
            yield added
        finally:
            for rule_id in added:
                if self.is_active(rule_id):
                    self.remove(rule_id)

    def rules(self) -> list[RuleState]:
        """The state of each active rule, in the order of addition."""
        with self._lock:
            return [RuleState(entry.id, entry.rule, entry.matched, entry.applied) for entry in self._entries.values()]

    def state(self, rule_id: str) -> RuleState:
        """The state of one active rule.

        Raises:
            NotFound: there is none with this id.
        """
        for state in self.rules():
            if state.id == rule_id:
                return state
        raise NotFound("Fault", rule_id)

    def applied(self, rule_id: str) -> int:
        """How often a rule was applied.

        Raises:
            NotFound: there is none with this id.
        """
        return self.state(rule_id).applied

    def is_active(self, rule_id: str) -> bool:
        """Whether a rule is active."""
        return rule_id in self._entries

    def apply(self, kind: type[R], matches: Callable[[R], bool], *, only: str | None = None) -> Hit[R] | None:
        """Count a match of a call, machine or task; the rule of a kind that applies to it.

        Args:
            kind: the kind of rule.
            matches: whether a rule of that kind matches.
            only: the id of the one rule to consider; all if None.
        """
        hit: Hit[R] | None = None
        with self._lock:
            for entry in self._entries.values():
                rule = entry.rule
                if only not in (None, entry.id) or type(rule) is not kind or not matches(rule):
                    continue
                if entry.applies(free=hit is None):
                    hit = Hit(entry.id, rule)
        return hit

    def apply_to_call(self, method: str, path: str, route: str) -> Hit[CallFault] | None:
        """Count a match of a call; the rule that applies to it."""
        hit: Hit[CallFault] | None = None
        with self._lock:
            for entry in self._entries.values():
                rule = entry.rule
                if not isinstance(rule, CallFault) or not _matches(rule, method, path, route):
                    continue
                if entry.applies(free=hit is None):
                    hit = Hit(entry.id, rule)
        return hit

    def _note_kinds(self) -> None:
        rules = [entry.rule for entry in self._entries.values()]
        self.has_call_rules = any(isinstance(rule, CallFault) for rule in rules)
        self.has_list_rules = any(isinstance(rule, ListingLag) for rule in rules)

    def _notify_removed(self) -> None:
        for listener in tuple(self.listeners.removed):
            listener()


def _matches(rule: CallFault, method: str, path: str, route: str) -> bool:
    if isinstance(rule, KeyRevoked):
        return not is_private(path)
    return rule.matches_call(method, path, route)
