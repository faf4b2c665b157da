"""The head's autoscaler: one life of Ray's real one, and what it and the provider do in each tick, noted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.processes import Process
from tests.simulation.raylets import FakeGcs
from tests.simulation.v1 import V1
from tests.simulation.v2 import V2
from yellowdog_ray.provider import RayDogNodeProvider


@dataclass
class Tick:
    """What one round came to.

    Attributes:
        began: when, in seconds.
        told: the ids that Ray was told; None if it was told nothing.
        fresh: whether they were read in this tick.
        done: whether Ray carried the round out.
        loop_seconds: for how long the loop was kept waiting.
        loop_calls, calls: the platform calls of the loop, and of the whole round.
    """

    began: float
    told: set[str] | None = None
    fresh: bool = False
    done: bool = False
    loop_seconds: float = 0.0
    loop_calls: int = 0
    calls: int = 0


@dataclass(frozen=True)
class Launch:
    """One request for nodes."""

    node_type: str
    count: int
    made: int
    error: str | None


@dataclass
class Life:
    """What is remembered of one life.

    Attributes:
        given_up: ids of the nodes whose end was asked for.
        listed: all ids that Ray was ever told.
        launches: those of the present round.
    """

    given_up: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    launches: list[Launch] = field(default_factory=list)


class Monitor:
    """One life of the head's autoscaler process. To be made inside its process.

    Args:
        kind: which autoscaler.
        process: the process that this is.
        config_file: the configuration on the head.
        gcs: Ray's control store.
        count_nodes: how many nodes the platform has been asked for so far.
        seconds: the time.
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
        self.life = Life()
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

        def tell(tag_filters: dict[str, str]) -> list[str]:
            ids: list[str] = listing(tag_filters)
            self.last.told = set(ids)
            self.life.listed |= self.last.told
            return ids

        def end(node_ids: list[str]) -> Any:
            self.life.given_up |= set(node_ids)
            return ending(node_ids)

        def launch(node_config: Any, tags: Any, count: int, *more: Any) -> Any:
            before, error = self._count_nodes(), None
            try:
                return launching(node_config, tags, count, *more)
            except Exception as raised:
                error = str(raised)
                raise
            finally:
                made = self._count_nodes() - before
                self.life.launches.append(Launch(tags["ray-user-node-type"], count, made, error))

        provider.side.cluster.refresh = read
        provider.non_terminated_nodes = tell
        provider.terminate_nodes = end
        provider.create_node_with_resources_and_labels = launch
