"""The head's autoscaler process: one life of Ray's real autoscaler, with a record of each round."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.processes import Process
from tests.simulation.raylets import FakeGcs
from tests.simulation.v1 import V1
from tests.simulation.v2 import V2
from yellowdog_ray.provider import RayDogNodeProvider

TICK_SECONDS = 5.0
"""Ray's AUTOSCALER_UPDATE_INTERVAL_S."""


@dataclass
class Tick:
    """The result of one round.

    Attributes:
        began: when, in seconds.
        listing: the ids that Ray received; None if it received none.
        fresh: whether they were read in this round.
        done: whether Ray carried the round out.
        loop_seconds: how long the round kept the loop waiting.
        loop_calls, calls: the platform calls of the loop, and of the whole round.
    """

    began: float
    listing: set[str] | None = None
    fresh: bool = False
    done: bool = False
    loop_seconds: float = 0.0
    loop_calls: int = 0
    calls: int = 0


@dataclass(frozen=True)
class Launch:
    """One request for nodes; `code` is the category of its failure."""

    node_type: str
    count: int
    made: int
    error: str | None
    code: str | None = None


@dataclass
class Life:
    """The record of one life.

    Attributes:
        terminated: ids of the nodes whose termination was requested.
        listed: all ids that Ray ever received.
        launches: the launches of the present round.
        launched: ids of the nodes that Ray received as launched.
        began: when it began, in seconds.
        failed_launches: the records of failed launches that Ray had after each of the last rounds.
    """

    began: float = 0.0
    terminated: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    launches: list[Launch] = field(default_factory=list)
    launched: set[str] = field(default_factory=set)
    failed_launches: deque[set[str]] = field(default_factory=lambda: deque(maxlen=4))


class Monitor:
    """One life of the head's autoscaler process; construct it inside that process.

    Args:
        kind: the autoscaler's version.
        process: the process.
        config_file: the configuration on the head.
        gcs: Ray's control store.
        count_nodes: returns the number of tasks submitted so far.
        seconds: returns the time.
    """

    def __init__(
        self,
        kind: type[V1] | type[V2],
        process: Process,
        config_file: Path,
        gcs: FakeGcs,
        count_nodes: Callable[[], int],
        seconds: Callable[[], float],
    ) -> None:
        self.process = process
        self.life = Life(began=seconds())
        self.due = seconds()
        self._count_nodes = count_nodes
        self._seconds = seconds
        self.autoscaler = kind(config_file, gcs)
        self.last = Tick(seconds())
        self._watch(self.provider)

    @property
    def provider(self) -> RayDogNodeProvider:
        """The node provider that the autoscaler has made for itself."""
        return self.autoscaler.provider

    def tick(self) -> Tick:
        """One round of the loop, without what it has begun in threads."""
        tick = self.last = Tick(self._seconds())
        self.life.launches.clear()
        calls = self.process.calls
        tick.done = self.autoscaler.tick()
        tick.loop_seconds = self._seconds() - tick.began
        tick.loop_calls = self.process.calls - calls
        return tick

    def _watch(self, provider: Any) -> None:
        listing, ending, launching = (
            provider.non_terminated_nodes,
            provider.terminate_nodes,
            provider.create_node_with_resources_and_labels,
        )
        refresh = provider.side.cluster.refresh

        def read() -> Any:
            snapshot = refresh()
            self.last.fresh = True
            return snapshot

        def list_nodes(tag_filters: dict[str, str]) -> list[str]:
            ids: list[str] = listing(tag_filters)
            self.last.listing = set(ids)
            self.life.listed |= self.last.listing
            return ids

        def end(node_ids: list[str]) -> Any:
            self.life.terminated |= set(node_ids)
            return ending(node_ids)

        def launch(node_config: Any, tags: Any, count: int, *more: Any) -> Any:
            before, error, code = self._count_nodes(), None, None
            try:
                ids = launching(node_config, tags, count, *more)
            except Exception as raised:
                error, code = str(raised), getattr(raised, "category", None)
                raise
            else:
                self.life.launched |= ids.keys()
                return ids
            finally:
                made = self._count_nodes() - before
                self.life.launches.append(Launch(tags["ray-user-node-type"], count, made, error, code))

        provider.side.cluster.refresh = read
        provider.non_terminated_nodes = list_nodes
        provider.terminate_nodes = end
        provider.create_node_with_resources_and_labels = launch
