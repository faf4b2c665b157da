"""Ray's autoscaler v1 as its monitor runs it on the head: the real class and launcher, with load metrics from a fake.

The metrics are filled as `Monitor.update_load_metrics` does (autoscaler/_private/monitor.py of Ray 2.60).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ray.autoscaler._private import autoscaler as ray_autoscaler
from ray.autoscaler._private.load_metrics import LoadMetrics
from ray.autoscaler._private.providers import _clear_provider_cache
from ray.core.generated.autoscaler_pb2 import GetClusterResourceStateReply, NodeStatus
from ray.exceptions import RayError

from tests.simulation.raylets import FakeGcs

if TYPE_CHECKING:  # benchmarks run this where neither is installed
    import pytest

    from yellowdog_ray.provider import RayDogNodeProvider


class V1:
    """One life of the autoscaler; a restart is another object."""

    version = "v1"

    def __init__(self, config_file: Path, gcs: FakeGcs) -> None:
        _clear_provider_cache()
        self._gcs = gcs
        self._metrics = LoadMetrics()
        self._config_file = config_file
        self.read_config()
        # As JSON, which it is: Ray reads it on every tick, and its YAML reader would take most of a test's time.
        self._autoscaler = ray_autoscaler.StandardAutoscaler(
            lambda: json.loads(self._text), self._metrics, gcs, "session"
        )

    @staticmethod
    def prepare(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
        """Set what Ray reads from the head's environment when it is imported."""
        init = ray_autoscaler.StandardAutoscaler.__init__
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(init).parameters.items()
            if parameter.default is not parameter.empty
        }
        defaults["max_launch_batch"] = int(environment["AUTOSCALER_MAX_LAUNCH_BATCH"])
        defaults["max_concurrent_launches"] = int(environment["AUTOSCALER_MAX_CONCURRENT_LAUNCHES"])
        defaults["update_interval_s"] = int(environment["AUTOSCALER_UPDATE_INTERVAL_S"])
        monkeypatch.setattr(init, "__defaults__", tuple(defaults.values()))

    def read_config(self) -> None:
        """Read the configuration that `ray up` has written."""
        self._text = self._config_file.read_text()

    @property
    def provider(self) -> RayDogNodeProvider:
        """The node provider that it has constructed."""
        return self._autoscaler.provider

    def tick(self) -> bool:
        """Decide once. Returns whether the tick was carried out; a failing one is skipped by Ray."""
        try:
            self._read_load()
        except RayError:
            return False
        failures = self._autoscaler.num_failures
        self._autoscaler.update()
        for updater in self._autoscaler.updaters.values():
            updater.join()
        return self._autoscaler.num_failures == failures

    def _read_load(self) -> None:
        reply = GetClusterResourceStateReply()
        reply.ParseFromString(self._gcs.get_cluster_resource_state())
        state = reply.cluster_resource_state
        groups = self._gcs.get_all_resource_usage().resource_usage_data.placement_group_load.placement_group_data
        waiting = [
            dict(demand.request.resources_bundle)
            for demand in state.pending_resource_requests
            for _ in range(demand.count)
        ]
        for node in state.node_states:
            if node.status != NodeStatus.DEAD:
                self._metrics.update(
                    node.node_ip_address,
                    node.node_id,
                    dict(node.total_resources),
                    dict(node.available_resources),
                    node.idle_duration_ms / 1000,
                    waiting,
                    pending_placement_groups=list(groups),
                )

    def request(self, bundles: list[dict[str, float]]) -> None:
        """Ask for room for all of these at once, as `ray.autoscaler.sdk.request_resources` does."""
        self._metrics.set_resource_requests(bundles)

    def records(self) -> int:
        """The number of node types and launches in Ray's own books."""
        available = self._autoscaler.node_provider_availability_tracker.summary().node_availabilities
        return len(available) + sum(self._autoscaler.pending_launches.breakdown().values())

    def failed_launches(self) -> dict[str, str]:
        """The node type of each launch that Ray has recorded as failed: one for each type."""
        return {node_type: node_type for node_type in self.failed_types()}

    def failed_types(self) -> set[str]:
        """The node types for which Ray has recorded a failed launch."""
        records = self._autoscaler.node_provider_availability_tracker.summary().node_availabilities
        return {node_type for node_type, record in records.items() if not record.is_available}
