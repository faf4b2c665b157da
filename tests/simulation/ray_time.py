"""Puts Ray's autoscalers on the platform's stepped clock, and replaces their thread pools."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

import pytest
from ray.autoscaler._private.node_provider_availability_tracker import NodeProviderAvailabilityTracker

_TIMED_MODULES = (
    "ray.autoscaler._private.autoscaler",
    "ray.autoscaler._private.event_summarizer",
    "ray.autoscaler._private.load_metrics",
    "ray.autoscaler._private.node_launcher",
    "ray.autoscaler.v2.instance_manager.common",
    "ray.autoscaler.v2.instance_manager.node_provider",
    "ray.autoscaler.v2.instance_manager.reconciler",
    "ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor",
    "ray.autoscaler.v2.scheduler",
)

_THREADED_MODULES = (
    "ray.autoscaler.v2.instance_manager.node_provider",
    "ray.autoscaler.v2.instance_manager.subscribers.ray_stopper",
    "ray.autoscaler.v2.instance_manager.subscribers.threaded_ray_installer",
)


class ShiftedTime:
    """Stands in for the module `time` where Ray reads the present."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def time(self) -> float:
        return self._now().timestamp()

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def monotonic(self) -> float:
        return self.time()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def put_on_clock(monkeypatch: pytest.MonkeyPatch, now: Callable[[], datetime]) -> None:
    """Let Ray's autoscalers read the time from a clock."""
    for name in _TIMED_MODULES:
        if importlib.util.find_spec(name):  # some came with later versions of Ray
            monkeypatch.setattr(importlib.import_module(name), "time", ShiftedTime(now))
    _, ttl = NodeProviderAvailabilityTracker.__init__.__defaults__ or ()
    monkeypatch.setattr(NodeProviderAvailabilityTracker.__init__, "__defaults__", (ShiftedTime(now).time, ttl))


def replace_pools(monkeypatch: pytest.MonkeyPatch, make_pool: Callable[..., Executor]) -> None:
    """Let Ray's autoscaler take its thread pools from `make_pool`."""
    for name in _THREADED_MODULES:
        monkeypatch.setattr(importlib.import_module(name), "ThreadPoolExecutor", make_pool)
