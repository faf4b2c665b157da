"""Ray's autoscaler v2 as its monitor runs it on the head: the real class, reconciler, adapter and scheduler.

Only the control store behind it is a fake. What Ray reads from the head's environment when it is imported is put in
its place from the environment that the head's task really has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ray.autoscaler._private.providers import _clear_provider_cache
from ray.autoscaler.v2.autoscaler import Autoscaler
from ray.autoscaler.v2.instance_manager import config as ray_config
from ray.autoscaler.v2.instance_manager.node_provider import NodeProviderAdapter
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage, VersionedValue
from ray.core.generated.instance_manager_pb2 import Instance

from tests.simulation.raylets import FakeGcs

if TYPE_CHECKING:  # benchmarks run this where neither is installed
    import pytest

    from yellowdog_ray.provider import RayDogNodeProvider


class _Reader(ray_config.FileConfigReader):
    """Reads the file on request only: Ray reads it on every tick, which would take most of a test's time."""

    def refresh_cached_autoscaling_config(self) -> None:
        pass

    def read_again(self) -> None:
        super().refresh_cached_autoscaling_config()


def _get_all(storage: InMemoryStorage, table: str) -> tuple[dict[str, VersionedValue], int]:
    """As Ray's, which makes a deep copy: most of a long simulation's time, and the values are tuples of bytes."""
    return dict(storage._tables[table]), storage.get_version()


class V2:
    """One life of the autoscaler; a restart is another object."""

    version = "v2"

    def __init__(self, config_file: Path, gcs: FakeGcs) -> None:
        _clear_provider_cache()
        self._reader = _Reader(str(config_file))
        self._autoscaler = Autoscaler("session", self._reader, gcs)

    @staticmethod
    def prepare(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
        """Set what Ray reads from the head's environment when it is imported."""
        batch = int(environment["AUTOSCALER_MAX_LAUNCH_BATCH"])
        most = int(environment["AUTOSCALER_MAX_CONCURRENT_LAUNCHES"])
        monkeypatch.setattr(NodeProviderAdapter.__init__, "__defaults__", (batch, most))
        monkeypatch.setattr(ray_config, "AUTOSCALER_MAX_CONCURRENT_LAUNCHES", most)
        seconds = int(environment["RAY_AUTOSCALER_RECONCILE_ALLOCATE_STATUS_TIMEOUT_S"])
        reconcile = ray_config.InstanceReconcileConfig
        defaults = (seconds if f.name == "allocate_status_timeout_s" else f.default for f in fields(reconcile))
        monkeypatch.setattr(reconcile.__init__, "__defaults__", tuple(defaults))
        monkeypatch.setattr(InMemoryStorage, "get_all", _get_all)

    def read_config(self) -> None:
        """Read the configuration that `ray up` has written."""
        self._reader.read_again()

    @property
    def provider(self) -> RayDogNodeProvider:
        """The node provider that it has constructed."""
        return self._autoscaler._cloud_instance_provider.v1_provider

    def tick(self) -> bool:
        """Decide once. Returns whether the tick was carried out; a failing one is skipped by Ray."""
        return self._autoscaler.update_autoscaling_state() is not None

    def records(self) -> int:
        """The number of instances in Ray's own books, past ones included."""
        instances, _ = self._autoscaler._instance_manager._instance_storage.get_instances()
        return len(instances)

    def failed_launches(self) -> dict[str, str]:
        """The node type of each launch that Ray has recorded as failed, by the record's id."""
        storage = self._autoscaler._instance_manager._instance_storage
        failed, _ = storage.get_instances(status_filter={Instance.ALLOCATION_FAILED})
        return {instance_id: instance.instance_type for instance_id, instance in failed.items()}

    def failed_types(self) -> set[str]:
        """The node types for which Ray has recorded a failed launch."""
        return set(self.failed_launches().values())
