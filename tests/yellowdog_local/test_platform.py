"""The platform as one object: a reset ends all state, hosts and timers, whatever is in progress."""

from __future__ import annotations

import threading

from yellowdog_client.model import TaskStatus, WorkerPoolStatus

from tests.simulation.lab import Lab
from yellowdog_local import faults


def test_reset_deletes_all_state(lab: Lab) -> None:
    platform = lab.platform
    fresh = set(platform.store.namespaces), len(platform.store.requirement_templates)
    pool = lab.booted(2, "pool", minNodes=1)
    lab.pool(1, "never")
    lab.tasks(lab.group(), "one", "two", "three")
    platform.faults.add(faults.NeverBoots())
    key = platform.api_key
    platform.reset()

    assert lab.hosts.instance_ids == []
    assert pool.status is not WorkerPoolStatus.PENDING
    assert not any(instance.status.alive for instance in pool.requirement.instances.values())
    store = platform.store
    for held in (store.works, store.tasks, store.pools, store.nodes, store.requirements, store.instances):
        assert not held
    assert (set(store.namespaces), len(store.requirement_templates)) == fresh
    assert (platform.faults.rules(), platform.api_key) == ([], key)
    lab.advance(10_000)  # timers of the past do nothing
    assert lab.hosts.instance_ids == []

    again = lab.booted(2, "pool")
    (task,) = lab.tasks(lab.group(), "one")
    assert (len(again.nodes), task.status) == (2, TaskStatus.EXECUTING)


def test_reset_cancels_timers(lab: Lab) -> None:
    happened: list[str] = []
    kernel = lab.platform._kernel
    kernel.after(5, lambda: happened.append("before"))
    lab.platform.reset()
    kernel.after(5, lambda: happened.append("after"))
    lab.advance(10)
    assert happened == ["after"]


def test_reset_during_provisioning_leaves_no_host(lab: Lab) -> None:
    """A call in progress may still create hosts during a reset: they are terminated too."""
    stop = threading.Event()

    def provision() -> None:
        for number in range(20):
            if not stop.is_set():
                lab.pool(1, f"pool-{number}")

    thread = threading.Thread(target=provision)
    thread.start()
    lab.platform.reset()
    stop.set()
    thread.join()
    lab.platform.reset()
    assert lab.hosts.instance_ids == []
