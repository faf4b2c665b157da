"""The removal of autoscaler v2's records of failed launches and ended nodes."""

import gc
import logging

import pytest
from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage
from ray.core.generated.instance_manager_pb2 import Instance

from yellowdog_ray.monitor import launch_records
from yellowdog_ray.monitor.launch_records import INTERVAL_SECONDS, LaunchRecords


class RayNodes:
    """Ray's control store, as far as the records need it."""

    def __init__(self) -> None:
        self.listed: frozenset[str] | None = frozenset()

    def listed_ray_ids(self) -> frozenset[str] | None:
        return self.listed


class Lab:
    """Ray's storage with records, and the records' removal."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ray = RayNodes()
        self.storage = InstanceStorage("session", InMemoryStorage())
        self.records = LaunchRecords(self.ray, lambda: self.now)

    def add(self, name: str, status: int, *, node_type: str = "worker", node_id: str = "", at: int = 1) -> None:
        instance = Instance(instance_id=name, instance_type=node_type, status=status, node_id=node_id)
        instance.status_history.add(instance_status=Instance.QUEUED, timestamp_ns=0)
        instance.status_history.add(instance_status=status, timestamp_ns=at)
        self.storage.batch_upsert_instances([instance])

    def after_failed_launch(self) -> set[str]:
        self.records.launch_failed()
        return self.after_tick()

    def after_interval(self) -> set[str]:
        self.now += INTERVAL_SECONDS
        return self.after_tick()

    def after_tick(self) -> set[str]:
        self.records.tick()
        return set(self.storage.get_instances()[0])


@pytest.fixture
def lab() -> Lab:
    gc.collect()  # earlier tests' storages
    return Lab()


def test_last_failure_of_each_node_type_is_kept(lab):
    for at in (3, 1, 2):
        lab.add(f"a{at}", Instance.ALLOCATION_FAILED, node_type="a", at=at)
        lab.add(f"b{at}", Instance.ALLOCATION_FAILED, node_type="b", at=at)

    assert lab.after_failed_launch() == {"a3", "b3"}


def test_records_in_use_are_kept(lab):
    kept = {Instance.QUEUED, Instance.REQUESTED, Instance.ALLOCATED, Instance.RAY_RUNNING, Instance.TERMINATING}
    for status in kept:
        lab.add(str(status), status)

    lab.after_failed_launch()

    assert lab.after_interval() == {str(status) for status in kept}


def test_failures_are_removed_that_ray_records_after_the_tick(lab):
    lab.after_failed_launch()
    lab.add("first", Instance.ALLOCATION_FAILED, at=1)
    lab.add("second", Instance.ALLOCATION_FAILED, at=2)

    assert lab.after_tick() == {"second"}


def test_no_record_is_read_without_failed_launch(lab, monkeypatch):
    lab.after_failed_launch()
    for _ in range(4):
        lab.after_tick()
    monkeypatch.setattr(InstanceStorage, "get_instances", lambda *_: pytest.fail("read"))

    lab.now += INTERVAL_SECONDS - 1
    for _ in range(4):
        lab.records.tick()


def test_ended_nodes_are_removed_when_ray_lists_them_no_more(lab):
    lab.ray.listed = frozenset({"dead but listed"})
    lab.add("never joined", Instance.TERMINATED)
    lab.add("forgotten", Instance.TERMINATED, node_id="dead")
    lab.add("listed", Instance.TERMINATED, node_id="dead but listed")

    assert lab.after_interval() == {"listed"}


def test_ended_nodes_are_kept_while_ray_does_not_answer(lab):
    lab.ray.listed = None
    lab.add("joined", Instance.TERMINATED, node_id="dead")

    assert lab.after_interval() == {"joined"}
    lab.ray.listed = frozenset()
    assert lab.after_interval() == set()


def test_another_storage_of_ray_is_logged_once(lab, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)

    def fail() -> None:
        raise ImportError("no such module")

    monkeypatch.setattr(launch_records, "_storages", fail)
    lab.add("first", Instance.ALLOCATION_FAILED)
    lab.add("second", Instance.ALLOCATION_FAILED)

    assert lab.after_failed_launch() == lab.after_failed_launch() == {"first", "second"}
    assert caplog.text.count("Ray's records of failed launches are not removed: no such module") == 1


def test_missing_storage_of_ray_is_logged_once(lab, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(launch_records, "_storages", list)

    for _ in range(3):
        lab.after_failed_launch()

    assert caplog.text.count("records of failed launches are not removed: this version of Ray keeps them") == 1


@pytest.mark.parametrize("name", ["get_instances", "batch_delete_instances"])
def test_missing_attribute_of_ray_is_logged_once(lab, monkeypatch, caplog, name):
    caplog.set_level(logging.WARNING)
    lab.add("first", Instance.ALLOCATION_FAILED)
    lab.add("second", Instance.ALLOCATION_FAILED)
    records = lab.records
    with monkeypatch.context() as another_ray:
        another_ray.delattr(InstanceStorage, name)
        for _ in range(3):
            records.launch_failed()
            records.tick()

    assert caplog.text.count("Ray's records of failed launches are not removed") == 1
    assert lab.after_failed_launch() == {"first", "second"}
