"""Keeps Ray's autoscaler v2 from launching node types that back off, by their limits in the head's configuration file.

Autoscaler v2 repeats a refused launch at every tick and never removes the record of one (`ALLOCATION_FAILED` in
autoscaler/v2/instance_manager of Ray 2.60). It reads the file anew at every tick. Autoscaler v1 keeps one record per
node type, and needs none of this.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.config.models import INTERNAL_KEY, parse_provider
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.monitor.reload import CONFIG_FILE

logger = logging.getLogger(__name__)

PROBE_SECONDS = 60.0
"""After its back-off, a node type that has failed gets one node per this time, until one joins or, where the platform
refused the launch, is accepted."""

_KEYS = ("max_workers", "min_workers")
_HELD = "held"

Stamp = tuple[int, int, int]


class LimitExceeded(RayDogError):
    """Ray has read a limit below the number of nodes; it would terminate some. It skips the tick instead."""


class LaunchLimits:
    """The lowered limits of the node types that back off. Thread-safe: Ray launches in threads.

    A limit is the number of nodes that there are, so that Ray terminates none. The user's own values stay beside it in
    the file, for the end of the back-off and for a restart of the autoscaler.

    Args:
        cluster_name: the cluster; another cluster's file is left alone.
        backoff: the node types that back off.
        monotonic: seconds that never go back.
        path: the file; by default the one that Ray's autoscaler reads.
    """

    def __init__(
        self, cluster_name: str, backoff: BackOff, monotonic: Callable[[], float], path: Path | None = None
    ) -> None:
        self._backoff = backoff
        self._monotonic = monotonic
        self._file = _LimitsFile(cluster_name, (path or Path(CONFIG_FILE).expanduser()).resolve())
        self._in_flight: Counter[str] = Counter()
        self._probed: dict[str, float] = {}
        self._lock = threading.RLock()
        self._warned = False

    @contextlib.contextmanager
    def launching(self, node_type: str, count: int, workers: Callable[[], Mapping[str, int]]) -> Iterator[None]:
        """Count nodes as there while they are launched, and set the limits by the result.

        Args:
            node_type: their node type.
            count: how many.
            workers: returns the number of workers by node type.
        """
        with self._lock:
            self._in_flight[node_type] += count
        try:
            yield
            if node_type in self._backoff.failing():
                self._probed[node_type] = self._monotonic()
        finally:
            with self._lock:
                self._in_flight[node_type] -= count
                self._apply(workers())

    def tick(self, workers: Mapping[str, int]) -> None:
        """Set the limits by a listing.

        Args:
            workers: the number of listed workers by node type.

        Raises:
            LimitExceeded: nodes appeared that Ray has not requested, and the limit that it has read is too low.
        """
        with self._lock:
            before = dict(self._file.limits)
            self._apply(workers)
            before = before or self._file.limits_found
            for node_type, limit in before.items():
                if workers.get(node_type, 0) > limit:
                    raise LimitExceeded(f"the limit of node type '{node_type}' was {limit}; this tick is skipped")

    def _apply(self, workers: Mapping[str, int]) -> None:
        limits = {
            node_type: workers.get(node_type, 0) + self._in_flight[node_type] + self._room(node_type)
            for node_type in self._backoff.failing()
        }
        try:
            self._file.set(limits)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, RayDogError) as error:
            if not self._warned:
                self._warned = True
                logger.warning("%s cannot hold node types that back off: %s", self._file.path, error)

    def _room(self, node_type: str) -> int:
        """How many nodes Ray may add to a node type that has failed."""
        if self._backoff.remaining(node_type) > 0 or self._in_flight[node_type]:
            return 0
        return int(self._monotonic() - self._probed.get(node_type, float("-inf")) >= PROBE_SECONDS)


class _LimitsFile:
    """Limits in the head's configuration file.

    Attributes:
        path: the file.
        limits: those in force, by node type.
        limits_found: those that an earlier life of the autoscaler had left there at the first `set`; empty afterwards.
    """

    def __init__(self, cluster_name: str, path: Path) -> None:
        self.path = path
        self.limits: dict[str, int] = {}
        self.limits_found: dict[str, int] = {}
        self._cluster_name = cluster_name
        self._stamp: Stamp | None = None

    def set(self, limits: dict[str, int]) -> None:
        """Put these limits in force, and no others. Without any, and without a change, it does nothing.

        Raises:
            OSError: the file cannot be read or written.
            ValueError, KeyError, TypeError, yaml.YAMLError, RayDogError: it is not this cluster's configuration.
        """
        first = self._stamp is None
        if not first and limits == self.limits and (not limits or self._stamp == self._stamp_now()):
            self.limits_found = {}
            return
        stamp = self._stamp_now()
        config = self._read()
        self.limits_found = _found(config) if first else {}
        if _hold(config, limits):
            stamp = self._replace(json.dumps(config), stamp)
        self._stamp, self.limits = stamp, dict(limits)

    def _stamp_now(self) -> Stamp:
        found = self.path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> dict[str, Any]:
        text = self.path.read_text()
        config: dict[str, Any] = json.loads(text) if text.startswith("{") else yaml.safe_load(text)
        if config["cluster_name"] != self._cluster_name:
            raise ValueError(f"it is the configuration of cluster '{config['cluster_name']}'")
        parse_provider(config["provider"], str(self.path))
        return config

    def _replace(self, text: str, stamp: Stamp) -> Stamp:
        """Replace the file, unless somebody else just has. Returns its stamp."""
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            if self._stamp_now() != stamp:
                raise BlockingIOError("it is being replaced")
            Path(name).replace(self.path)
        finally:
            Path(name).unlink(missing_ok=True)
        return self._stamp_now()


def _summaries(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """RayDog's own record of each node type, by name."""
    summaries: dict[str, dict[str, Any]] = config["provider"].get(INTERNAL_KEY, {}).get("node_types", {})
    return summaries


def _found(config: dict[str, Any]) -> dict[str, int]:
    held = {name: summary.get(_HELD) for name, summary in _summaries(config).items()}
    return {name: values["max_workers"]["set"] for name, values in held.items() if values and "max_workers" in values}


def _hold(config: dict[str, Any], limits: Mapping[str, int]) -> bool:
    """Hold node types to limits, and restore the user's values of all others. Returns whether anything changed.

    A value that differs from what was set here is the user's.
    """
    changed = False
    for name, summary in _summaries(config).items():
        node_type = config["available_node_types"].get(name)
        if node_type is None:
            continue
        held = summary.pop(_HELD, None) or {}
        before = {key: node_type.get(key) for key in _KEYS}
        own = {
            key: held[key]["own"] if key in held and held[key]["set"] == value else value
            for key, value in before.items()
            if value is not None
        }
        limit = limits.get(name)
        after = own if limit is None else {key: min(value, limit) for key, value in own.items()}
        node_type.update(after)
        if limit is not None and after != own:
            summary[_HELD] = {key: {"own": own[key], "set": after[key]} for key in own}
        changed = changed or after != {key: before[key] for key in after} or held != summary.get(_HELD, {})
    return changed
