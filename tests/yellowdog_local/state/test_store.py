from __future__ import annotations

import pytest
from yellowdog_client.model import WorkRequirementStatus

from tests.simulation.lab import Lab
from yellowdog_local.errors import NotFound
from yellowdog_local.state.store import Store

CANCELLING = WorkRequirementStatus.CANCELLING


def test_missing_record_is_named() -> None:
    store = Store()
    for call, text in (
        (lambda: store.node("n-1"), "n-1"),
        (lambda: store.pool_by_name("demo", "pool"), "demo/pool"),
        (lambda: store.requirement_by_name("demo", "pool"), "demo/pool"),
    ):
        with pytest.raises(NotFound, match=text):
            call()


def test_name_refers_to_the_newest_work(lab: Lab) -> None:
    store = lab.platform.store
    first = lab.work()
    lab.do(lambda p: p.work.transition(first, CANCELLING, abort=False))
    second = lab.work()
    assert store.work_by_name("demo", "work") is second
    assert store.work(first.id) is first


def test_scheduler_reads_task_groups_with_ready_tasks_only(lab: Lab) -> None:
    store = lab.platform.store
    group = lab.group()
    assert store.groups_with_ready == {}
    (task,) = lab.tasks(group, "a")
    assert store.groups_with_ready == {group.id: group}
    lab.do(lambda p: p.tasks.cancel(task, abort=False))
    assert store.groups_with_ready == {}


def test_namespace_is_in_use_until_its_work_and_pools_have_ended(lab: Lab) -> None:
    store = lab.platform.store
    store.source_templates.clear()
    store.requirement_templates.clear()
    assert not store.namespace_in_use("demo")
    work = lab.work()
    assert store.namespace_in_use("demo")
    assert not store.namespace_in_use("other")
    lab.do(lambda p: p.work.transition(work, CANCELLING, abort=False))
    assert not store.namespace_in_use("demo")
