"""Drops lines that repeat at every tick of Ray's autoscaler without news. Runs on the head only; makes no call.

Without it, an idle cluster under autoscaler v1 logs 22 lines a tick (Ray 2.50 to 2.60). Under v2, a node type in
back-off logs three lines a tick for each missing node. A rule names one kind of line; all others pass.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

MINUTE = 60.0
"""Seconds after which a line that had stopped is news again, and between two statuses of autoscaler v1."""

SLOW_SECONDS = 5.0
"""From this duration on, the time that a tick of autoscaler v1 took is news: Ray's own interval between two ticks."""

_MAX_KEYS = 1_000


class _Rule(Protocol):
    def drops(self, line: str, now: float) -> bool:
        """Whether the line is of this rule's kind, and has no news."""


class Repeated:
    """Lines whose text, without the parts that vary, came less than a minute ago.

    Args:
        begins: how such a line begins.
        varying: the parts that vary.
    """

    def __init__(self, begins: str, varying: str | None = None) -> None:
        self._begins = re.compile(begins)
        self._varying = re.compile(varying) if varying else None
        self._seen: OrderedDict[str, float] = OrderedDict()

    def drops(self, line: str, now: float) -> bool:
        """Whether the line repeats one; it counts as seen, dropped or not."""
        if not self._begins.match(line):
            return False
        key = self._varying.sub("", line) if self._varying else line
        before = self._seen.pop(key, None)
        self._seen[key] = now
        if len(self._seen) > _MAX_KEYS:
            self._seen.popitem(last=False)
        return before is not None and 0 <= now - before < MINUTE


class Status:
    """Autoscaler v1's report of the cluster: passes if it differs from the last one, at most once a minute."""

    def __init__(self) -> None:
        self._shown = ""
        self._at = 0.0

    def drops(self, line: str, now: float) -> bool:
        """Whether the line is a status like the last one, or follows it too soon."""
        if not line.startswith("\n======== Autoscaler status: "):
            return False
        # Its first lines have the time, and a rule as long as the time; failures have the time of the last attempt.
        status = re.sub(r"latest_attempt: [\d:]+", "", line.partition("Node status")[2])
        if status == self._shown or (self._shown and 0 <= now - self._at < MINUTE):
            return True
        self._shown, self._at = status, now
        return False


class Duration:
    """Durations of autoscaler v1's ticks that are short."""

    _LINE = re.compile(r"The autoscaler took ([\d.]+) seconds to ")

    def drops(self, line: str, now: float) -> bool:
        """Whether the line has a short duration."""
        found = self._LINE.match(line)
        return found is not None and float(found[1]) < SLOW_SECONDS


class BackedOff:
    """Autoscaler v2's records of nodes that it cannot launch, because their type is in back-off.

    Args:
        waits: whether a node type is in back-off.
    """

    _LINE = re.compile(
        r"(?:New instance QUEUED|Update instance QUEUED->REQUESTED|Update instance REQUESTED->ALLOCATION_FAILED) "
        r"\(id=[^,]*, type=(.*), cloud_instance_id="
    )

    def __init__(self, waits: Callable[[str], bool]) -> None:
        self.waits = waits

    def drops(self, line: str, now: float) -> bool:
        """Whether the line is of a node whose type is in back-off."""
        found = self._LINE.match(line)
        return found is not None and self.waits(found[1])


_RETRY = r"retried in \d+ s"


def _rules(waits: Callable[[str], bool]) -> dict[str, Sequence[_Rule]]:
    """The rules, by the logger of their lines."""
    return {
        # Ray reads the head's configuration file at every tick. The two legacy fields are its own default for every
        # external provider.
        "ray.autoscaler._private.util": [Repeated("Dropping the empty legacy field|setting max workers for")],
        "ray.autoscaler._private.autoscaler": [
            Status(),
            Duration(),
            Repeated(r"StandardAutoscaler: Queue \d+ new nodes"),
        ],
        "ray.autoscaler._private.node_launcher": [
            Repeated(r"BaseNodeLauncher: (?:Got \d+ nodes|Failed to launch)", _RETRY)
        ],
        "ray.autoscaler._private.resource_demand_scheduler": [Repeated("The autoscaler could not find a node type")],
        "ray.autoscaler.v2.instance_manager.config": [Repeated("Calculating hashes for file mounts|Using global ")],
        "ray.autoscaler.v2.instance_manager.instance_manager": [BackedOff(waits)],
        "ray.autoscaler.v2.instance_manager.node_provider": [
            Repeated(r"Launching \d+ nodes|Failed to launch \d+ nodes", _RETRY)
        ],
        "ray.autoscaler.v2.instance_manager.reconciler": [
            Repeated(r"Instance \S+ is stuck in ", r"^Instance [^(]*\([^)]*\)|for \S+ seconds"),
            Repeated("Ray node .* has no instance id"),
        ],
        "ray.autoscaler.v2.scheduler": [
            Repeated(r"Node \S+ \(idle for .* required by min_worker_nodes", r"^Node \S+ \(idle for \S+ secs\)"),
            Repeated(r"Adding \d+ nodes to satisfy min count|Node config for .* is missing"),
        ],
        "yellowdog_ray.provider": [Repeated(r"\d+ node\(s\) of type .* are not launched", _RETRY)],
    }


def drop_repeated_lines(now: Callable[[], float], waits: Callable[[str], bool]) -> None:
    """Drop these lines from now on, in this process. A second call replaces the first one's arguments.

    Args:
        now: seconds that never go back.
        waits: whether a node type is in back-off.
    """
    for name, rules in _rules(waits).items():
        logger = logging.getLogger(name)
        for each in [each for each in logger.filters if isinstance(each, _News)]:
            logger.removeFilter(each)
        logger.addFilter(_News(rules, now))


class _News(logging.Filter):
    """Passes every record that no rule drops."""

    def __init__(self, rules: Sequence[_Rule], now: Callable[[], float]) -> None:
        super().__init__()
        self._rules = rules
        self._now = now

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log a record."""
        try:
            line = record.getMessage()
        except (TypeError, ValueError, KeyError):
            return True  # a malformed call of Ray's, which the handler reports
        now = self._now()
        return not any(rule.drops(line, now) for rule in self._rules)
