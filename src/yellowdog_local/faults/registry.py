"""The rules in force, and which of them strikes when. Knows calls and machines only by what a rule says of them."""

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
class Standing:
    """A rule in force.

    Attributes:
        id: what it is removed by.
        rule: the rule.
        seen: how many calls, machines or tasks it has matched.
        struck: how many of them it has struck.
    """

    id: str
    rule: Rule
    seen: int
    struck: int

    @property
    def spent(self) -> bool:
        """Whether it will never strike again."""
        return self.rule.most is not None and self.struck >= self.rule.most


@dataclass(frozen=True)
class Struck(Generic[R]):
    """A rule that strikes now, and its id."""

    id: str
    rule: R


@dataclass(eq=False)
class _Entry:
    id: str
    rule: Rule
    random: random.Random
    seen: int = 0
    struck: int = 0

    def strikes(self, *, free: bool) -> bool:
        """Count one that matches, and say whether it is struck; it is not if another rule has it already."""
        self.seen += 1
        rule = self.rule
        if not free or (rule.nth is not None and self.seen < rule.nth):
            return False
        if rule.most is not None and self.struck >= rule.most:
            return False
        if rule.probability is not None and self.random.random() >= rule.probability:
            return False
        self.struck += 1
        return True


@dataclass
class Listeners:
    """Who wants to hear of rules that come and go. Called without any lock of ours."""

    added: list[Callable[[str, Rule], None]] = field(default_factory=list)
    removed: list[Callable[[], None]] = field(default_factory=list)


class Faults:
    """The faults of one platform. May be used from any thread, with or without the platform's lock."""

    def __init__(self) -> None:
        self.listeners = Listeners()
        # Looked at by every call: a platform without such rules pays for no more than that.
        self.concern_calls = False
        self.concern_lists = False
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._made = 0

    def add(self, rule: Rule) -> str:
        """Put a rule in force; answers its id. Of several rules that match, the one added first strikes."""
        with self._lock:
            self._made += 1
            rule_id = f"fault-{self._made}"
            seeded = random.Random(rule.seed)  # noqa: S311  chooses whom to strike, guards nothing
            self._entries[rule_id] = _Entry(rule_id, rule, seeded)
            self._note_kinds()
        for listener in tuple(self.listeners.added):
            listener(rule_id, rule)
        return rule_id

    def remove(self, rule_id: str) -> None:
        """End a rule, whatever it has done already stays done.

        Raises:
            NotFound: there is none of that id.
        """
        with self._lock:
            if self._entries.pop(rule_id, None) is None:
                raise NotFound("Fault", rule_id)
            self._note_kinds()
        self._tell_removed()

    def clear(self) -> None:
        """End every rule."""
        with self._lock:
            self._entries.clear()
            self._note_kinds()
        self._tell_removed()

    @contextmanager
    def during(self, *rules: Rule) -> Iterator[list[str]]:
        """Have rules in force for the length of a block; gives their ids."""
        made = [self.add(rule) for rule in rules]
        try:
            yield made
        finally:
            for rule_id in made:
                if self.stands(rule_id):
                    self.remove(rule_id)

    def rules(self) -> list[Standing]:
        """The rules in force, in the order in which they were added."""
        with self._lock:
            return [Standing(entry.id, entry.rule, entry.seen, entry.struck) for entry in self._entries.values()]

    def standing(self, rule_id: str) -> Standing:
        """One rule in force.

        Raises:
            NotFound: there is none of that id.
        """
        for standing in self.rules():
            if standing.id == rule_id:
                return standing
        raise NotFound("Fault", rule_id)

    def struck(self, rule_id: str) -> int:
        """How often a rule has struck.

        Raises:
            NotFound: there is none of that id.
        """
        return self.standing(rule_id).struck

    def stands(self, rule_id: str) -> bool:
        """Whether a rule is in force."""
        return rule_id in self._entries

    def strike(self, kind: type[R], concerns: Callable[[R], bool], *, only: str | None = None) -> Struck[R] | None:
        """The rule of a kind that strikes what `concerns` describes.

        Args:
            kind: the kind of rule.
            concerns: whether a rule of that kind means it.
            only: ask this one rule and count for no other.
        """
        hit: Struck[R] | None = None
        with self._lock:
            for entry in self._entries.values():
                rule = entry.rule
                if only not in (None, entry.id) or type(rule) is not kind or not concerns(rule):
                    continue
                if entry.strikes(free=hit is None):
                    hit = Struck(entry.id, rule)
        return hit

    def strike_call(self, method: str, path: str, route: str) -> Struck[CallFault] | None:
        """The rule that strikes a call."""
        hit: Struck[CallFault] | None = None
        with self._lock:
            for entry in self._entries.values():
                rule = entry.rule
                if not isinstance(rule, CallFault) or not _concerns(rule, method, path, route):
                    continue
                if entry.strikes(free=hit is None):
                    hit = Struck(entry.id, rule)
        return hit

    def _note_kinds(self) -> None:
        rules = [entry.rule for entry in self._entries.values()]
        self.concern_calls = any(isinstance(rule, CallFault) for rule in rules)
        self.concern_lists = any(isinstance(rule, ListingLag) for rule in rules)

    def _tell_removed(self) -> None:
        for listener in tuple(self.listeners.removed):
            listener()


def _concerns(rule: CallFault, method: str, path: str, route: str) -> bool:
    if isinstance(rule, KeyRevoked):
        return not is_private(path)
    return rule.concerns_call(method, path, route)
