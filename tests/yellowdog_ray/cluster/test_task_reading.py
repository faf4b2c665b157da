"""What lists of tasks show: copies, lags and changes of identity."""

from dataclasses import replace

import pytest

from tests.yellowdog_ray.cluster.scripted_platform import task
from yellowdog_ray.cluster.task_reading import OtherIdentity, Reading, differences, merged, originals, pages, phases
from yellowdog_ray.platform.types import Counts, Placement, TaskGroupView, TaskPhase

WAITING, EXECUTING = TaskPhase.WAITING, TaskPhase.EXECUTING


def by_id(*tasks):
    return {one.id: one for one in tasks}


def test_list_that_shows_a_task_twice_gives_its_later_phase():
    reading = Reading()
    reading.show([task("a", "EXECUTING"), task("a", "PENDING")])

    assert [one.status for one in reading.seen.values()] == ["EXECUTING"]


@pytest.mark.parametrize("change", [{"name": "b"}, {"tags": {"ray-node-type": "head"}}, {"group_id": "g"}])
def test_known_node_with_another_identity_is_refused(change):
    known = task("a")

    with pytest.raises(OtherIdentity) as caught:
        Reading(by_id(known)).show([replace(known, **change)])
    assert caught.value.listed.id == known.id


def test_list_of_ended_tasks_may_omit_their_tags():
    Reading(by_id(task("a"))).show([task("a", "COMPLETED", tags={})])


def test_original_of_a_name_is_the_node_with_the_lowest_id():
    first, tenth = task("x", id="ydid:task:2"), task("x", id="ydid:task:10")
    by_hand = task("x", id="ydid:task:1", tags={})

    assert originals(by_id(tenth, by_hand, first)) == {"x": first}


def test_phase_goes_back_only_when_the_counts_agree():
    known = by_id(task("a", "EXECUTING"))
    reading = Reading(known)
    reading.show([task("a", "PENDING")])

    def status(counts):
        return [one.status for one in merged(known, reading, set(), counts).values()]

    assert status(Counts({WAITING: 1})) == ["PENDING"]
    assert status(Counts({EXECUTING: 1})) == ["EXECUTING"]
    assert status(None) == ["EXECUTING"]


def test_task_that_was_seen_ended_is_not_revived_by_a_list_that_lags():
    reading = Reading()
    reading.show([task("a")])

    assert merged({}, reading, {task("a").id}, None) == {}


def test_task_that_has_moved_on_differs_at_two_phases():
    assert differences(phases([task("a", "EXECUTING")]), Counts({WAITING: 1, TaskPhase.ENDED: 7})) == 2


@pytest.mark.parametrize(("live", "calls"), [(0, 1), (1000, 1), (1001, 2), (None, 1)])
def test_list_of_a_group_takes_one_call_per_page(live, calls):
    counts = None if live is None else Counts({EXECUTING: live})

    assert pages(TaskGroupView("g", "head", "tag", None, counts, Placement((), ()))) == calls
