"""Records the steps of Ray's updaters, which set workers up over SSH: the current step, its start and its failure.

Ray offers no such record, so its command runners are wrapped, on the head only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from yellowdog_ray.config.characters import joined

MONITOR_OUTPUT = "/tmp/ray/session_latest/logs/monitor.out"  # noqa: S108 - where Ray puts it
"""On the head: the output of the updaters' commands."""

_LONGEST = 80
_EXPORTS = re.compile(r"^(?:export \w+=[^;]*; ?)+")
_CONNECTION_TEST = "uptime"  # autoscaler/_private/updater.py of Ray 2.60


@dataclass(frozen=True)
class Step:
    """One step of an updater on a node.

    Attributes:
        what: a description for the user.
        since: when it began, by the clock of `Setups`; a retry is no new step.
        error: the text of its failure, if it failed.
    """

    what: str
    since: float
    error: str | None = None


class Setups:
    """The steps of all updaters, by node id.

    Args:
        monotonic: time.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._steps: dict[str, Step] = {}

    def watch(self, runner: Any, node_id: str) -> Any:
        """Wrap a command runner of Ray's so that its steps are recorded."""
        return _Watched(runner, node_id, self)

    def last(self, node_id: str) -> Step | None:
        """The latest step on a node; None if no updater has started."""
        return self._steps.get(node_id)

    def keep(self, node_ids: Set[str]) -> None:
        """Delete the steps of all nodes but these."""
        for node_id in set(self._steps) - node_ids:
            self._steps.pop(node_id, None)

    @contextmanager
    def step(self, node_id: str, what: str) -> Iterator[None]:
        """Record a step while it runs."""
        before = self._steps.get(node_id)
        since = before.since if before and before.what == what else self._monotonic()
        step = self._steps[node_id] = Step(what, since)
        try:
            yield
        except Exception as error:
            self._steps[node_id] = replace(step, error=str(error) or type(error).__name__)
            raise


class _Watched:
    """Stands in for a command runner: Ray uses whatever `get_command_runner` gives it."""

    def __init__(self, runner: Any, node_id: str, setups: Setups) -> None:
        self._runner = runner
        self._node_id = node_id
        self._setups = setups

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def run(self, cmd: str | None = None, *arguments: Any, **options: Any) -> Any:
        with self._setups.step(self._node_id, _described(cmd or "")):
            return self._runner.run(joined(cmd), *arguments, **options)

    def run_rsync_up(self, source: str, target: str, *arguments: Any, **options: Any) -> Any:
        with self._setups.step(self._node_id, f"copying {source} to {target}"):
            return self._runner.run_rsync_up(joined(source), joined(target), *arguments, **options)


def _described(command: str) -> str:
    if command == _CONNECTION_TEST:
        return "connecting by SSH"
    text = " ".join(_EXPORTS.sub("", command).split())
    return f"`{text[:_LONGEST]}...`" if len(text) > _LONGEST else f"`{text}`"
