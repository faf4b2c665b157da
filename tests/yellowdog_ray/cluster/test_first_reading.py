"""The first list of a process, with which no known identity can be compared."""

import pytest

from tests.yellowdog_ray.cluster.scripted_platform import (
    WORK,
    Reader,
    ScriptedPlatform,
    honest,
    renaming,
    task,
    task_id,
)
from yellowdog_ray.errors import MalformedResponse, Unavailable
from yellowdog_ray.names import group_name, is_group_of

CREW = ("a", "b")

CPU = {"ray-node-type": "worker", "ray-user-node-type": "cpu"}
"""The tags of a node whose type is that of the scripted task group."""

RENAMED = {"name": "x", "tags": {}}


@pytest.fixture
def platform() -> ScriptedPlatform:
    platform = ScriptedPlatform()
    platform.put(*map(task, CREW))
    return platform


@pytest.mark.parametrize(
    "wrong",
    [
        RENAMED,
        {"tags": {"ray-node-type": "head"}},
        {"tags": {"ray-node-type": "worker", "ray-user-node-type": "gpu"}},
    ],
    ids=["another name", "another kind", "another type"],
)
def test_first_list_that_contradicts_itself_is_corrected_before_it_is_listed(platform, wrong):
    platform.put(task("a", tags=CPU))
    platform.live_list = renaming("a", wrong)
    reader = Reader(platform)

    reader.tick()

    assert reader.cache.tasks()["a"] == task("a", tags=CPU)
    assert reader.names == set(CREW)


def test_first_list_that_contradicts_itself_is_no_listing_without_another_answer(platform):
    platform.live_list = renaming("a", RENAMED)
    platform.unreachable = {task_id("a")}
    reader = Reader(platform)

    with pytest.raises(Unavailable, match="contradicts itself about 1"):
        reader.tick()
    platform.unreachable = set()
    reader.tick()

    assert reader.names == set(CREW)


def test_first_list_is_outvoted_by_the_second_and_the_tasks_own_answer(platform):
    platform.live_list = renaming("a", {"tags": {"ray-node-type": "worker", "ray-launch-request": "other"}})
    reader = Reader(platform)
    reader.tick()
    platform.live_list = honest
    reader.wait_for_full_reading()

    with pytest.raises(MalformedResponse):
        reader.tick()

    assert not reader.cache.confirmed(WORK)
    assert reader.cache.update(platform.work()), "the snapshot must be composed again"
    assert reader.cache.tasks()["a"] == task("a")


def test_confirmed_identity_is_never_outvoted(platform):
    reader = Reader(platform)
    reader.tick()
    reader.wait_for_full_reading()
    reader.tick()
    before = reader.cache.tasks()
    platform.put(task("a", tags={"ray-node-type": "worker", "ray-launch-request": "other"}))
    reader.wait_for_full_reading()

    for _ in range(3):
        with pytest.raises(MalformedResponse):
            reader.tick()

    assert reader.cache.tasks() == before


def test_copy_is_requested_once(platform):
    platform.put(task("copy", tags={}))
    reader = Reader(platform)

    assert reader.tick().count("task copy") == 1
    reader.wait_for_full_reading()
    assert "task copy" not in reader.tick()


@pytest.mark.parametrize("node_type", ["cpu", "GPU (large)", "a" * 40])
@pytest.mark.parametrize("generation", [1, 2, 17])
def test_group_is_recognised_as_that_of_its_node_type(node_type, generation):
    group = group_name(node_type, "0a1b2c", generation)

    assert is_group_of(group, node_type)
    assert not is_group_of(group, "other")
