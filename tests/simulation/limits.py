"""Limits of time, and of calls, of the checks after every round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yellowdog_ray.cluster.pools import IDLE_NODE_TIMEOUT
from yellowdog_ray.cluster.terminations import REPEAT_SECONDS, TERMINATE_INSTANCE_SECONDS
from yellowdog_ray.platform.client import CALL_TIMEOUT

TICK = 5.0

SPARE_SECONDS = IDLE_NODE_TIMEOUT.total_seconds() + 2 * TICK
"""How long a platform node without a task may live: the platform's own idle timeout."""

TERMINATED_SECONDS = TERMINATE_INSTANCE_SECONDS + REPEAT_SECONDS + 4 * TICK
"""How long a node may live after the provider has begun to terminate it, while no call fails: until the provider
terminates its instance, once more if the first attempt was in vain."""

CALL_SECONDS = CALL_TIMEOUT.total_seconds()
"""The longest that one platform call may take; on the head none is retried."""

LOOP_SECONDS = 12 * CALL_SECONDS
"""How long one round may keep the loop waiting, with calls as slow as can be.

The calls are those of a listing, and the reads of pools and of spot notices. In v1 the launches of two types with their
look-ups by name come on top."""

LOOP_CALLS = 30
"""A listing takes 2 calls and one per pool, a read of supply 3 per pool, a launch 8, notices 1, a replacement 4."""

TICK_CALLS = 44
"""The same, and what goes on beside the loop, apart from terminations: those of up to twice as many nodes as there may
be at once."""


def build_seconds(yaml: Mapping[str, Any]) -> float:
    """The `worker_node_build_timeout_minutes` of a YAML, in seconds."""
    minutes: float = yaml["provider"]["worker_node_build_timeout_minutes"]
    return minutes * 60
