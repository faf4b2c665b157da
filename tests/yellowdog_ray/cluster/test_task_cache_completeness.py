"""No list is trusted to be complete: no living task is ever dropped, and every ended one is, eventually."""

import logging
from dataclasses import replace

import pytest

from tests.yellowdog_ray.cluster.scripted_platform import (
    TICK_SECONDS,
    Reader,
    ScriptedPlatform,
    honest,
    renaming,
    showing,
    task,
    task_id,
    without,
)
from yellowdog_ray.cluster.task_cache import (
    FIRST_READING_SECONDS,
    MAX_LOOKUPS,
)
from yellowdog_ray.errors import MalformedResponse, Unavailable

CREW = ("a", "b", "c", "d", "e")


@pytest.fixture
def platform() -> ScriptedPlatform:
    platform = ScriptedPlatform()
    platform.put(*map(task, CREW))
    return platform


@pytest.fixture
def reader(platform) -> Reader:
    """Has read five executing tasks."""
    reader = Reader(platform)
    reader.tick()
    assert reader.names == set(CREW)
    reader.tick()
    return reader


class TestOmission:
    """Lists that lack a living task."""

    def test_living_task_stays_when_list_lacks_it_after_change(self, platform, reader):
        platform.put(task("f", "READY"))
        platform.live_list = without("c")

        reader.tick()

        assert reader.names == {*CREW, "f"}

    def test_living_task_stays_when_full_readings_lack_it(self, platform, reader):
        platform.live_list = without("c")

        for _ in range(20):
            reader.tick()
            assert reader.names == set(CREW)

    def test_living_task_stays_when_another_moves_it_off_its_page(self, platform, reader):
        """Paging by offset: "a" ends between two pages, and "c" moves to a page that was read already."""

        def shift(tasks):
            platform.end("a")
            return [one for one in tasks if one.name != "c"]

        platform.put(task("f", "READY"))
        platform.live_list = shift
        reader.tick()
        platform.live_list = honest

        assert reader.names >= {"b", "c", "d", "e", "f"}
        reader.tick()
        assert reader.names == {"b", "c", "d", "e", "f"}

    def test_living_task_stays_when_its_lookup_fails(self, platform, reader):
        platform.unreachable = {task_id("c")}
        platform.live_list = without("c")
        platform.put(task("f", "READY"))

        reader.tick()

        assert "c" in reader.names

    def test_living_task_stays_when_list_repeats_another(self, platform, reader):
        platform.put(task("f", "READY"))
        platform.live_list = lambda tasks: [one for one in tasks if one.name != "c"] + [tasks[0]]

        reader.tick()

        assert reader.names == {*CREW, "f"}

    def test_lookups_are_bounded_per_reading(self, platform, reader):
        many = [f"m{number}" for number in range(5 * MAX_LOOKUPS)]
        platform.put(*map(task, many))
        reader.tick()
        platform.live_list = lambda _: []
        platform.put(task("f", "READY"))

        calls = reader.tick()

        assert sum(call.startswith("task") for call in calls) == MAX_LOOKUPS
        assert reader.names >= {*CREW, *many}

    def test_phase_does_not_go_back_when_list_lags(self, platform, reader):
        platform.put(task("f", "READY"))
        platform.live_list = showing([task("a", "ALLOCATED"), *map(task, "bcde")])

        reader.tick()

        assert reader.cache.tasks()["a"].executing


class TestEnd:
    """Tasks that have ended."""

    @pytest.mark.parametrize("counts_missing", [False, True])
    def test_ended_task_is_dropped_at_next_reading(self, platform, reader, counts_missing):
        platform.counts_missing = counts_missing
        platform.end("c")

        reader.tick()

        assert reader.names == set(CREW) - {"c"}

    def test_ended_task_costs_two_calls(self, platform, reader):
        platform.end("c")

        assert reader.tick() == ["work", "ended"]

    def test_task_that_is_not_found_is_dropped(self, platform, reader):
        del platform.truth[task_id("c")]
        platform.changes += 1

        reader.tick()

        assert reader.names == set(CREW) - {"c"}

    def test_ended_task_is_dropped_when_no_list_of_ended_tasks_shows_it(self, platform, reader):
        platform.end("c")
        platform.change_list = lambda _: []

        calls = reader.tick()

        assert reader.names == set(CREW) - {"c"}
        assert calls == ["work", "ended", "live", "task c"]

    def test_ended_task_is_not_revived_by_list_that_lags(self, platform, reader):
        platform.end("c")
        reader.tick()
        platform.live_list = showing(map(task, CREW))
        platform.put(task("f", "READY"))

        for _ in range(10):
            reader.tick()
            assert "c" not in reader.names

    def test_added_task_is_dropped_when_it_ends_before_any_list_shows_it(self, platform, reader):
        reader.cache.add([task("f", "READY")])
        platform.end("f")
        platform.change_list = lambda _: []

        reader.tick()

        assert reader.names == set(CREW)

    def test_added_task_stays_until_its_end_without_any_list(self, platform, reader):
        reader.cache.add([task("f", "READY")])
        platform.put(task("f", "READY"))
        platform.live_list = without("f")
        platform.counted = [*map(task, CREW)]

        for _ in range(30):
            reader.tick()
            assert "f" in reader.names

    def test_added_task_stays_when_it_is_looked_up_in_cluster_of_two_groups(self, platform):
        platform.empty_groups = ("ydid:taskgrp:000000:1:0",)
        reader = Reader(platform)
        reader.tick()
        reader.cache.add([task("f", "READY")])
        platform.put(task("f"))
        platform.end("a")
        platform.live_list = platform.change_list = without("f")

        assert "task f" in reader.tick()

        assert reader.names == {*CREW, "f"} - {"a"}

    def test_mass_loss_costs_no_lookup_per_task(self, platform, reader):
        platform.end(*CREW)

        assert reader.tick() == ["work", "ended"]
        assert reader.names == set()


class TestQuietTicks:
    """Readings while nothing changes."""

    def test_quiet_tick_costs_one_call(self, reader):
        made = [reader.tick() for _ in range(20)]

        assert {len(calls) for calls in made} == {1}

    def test_full_reading_is_not_confirmed_when_counts_disagree(self, platform, reader):
        platform.counted = [*map(task, CREW), task("unknown")]
        reader.tick()
        reader.wait_for_full_reading()

        assert "work" in reader.tick()


class TestFirstReading:
    """Nothing is known yet: no look-up by id can show what a list lacks."""

    def test_first_reading_that_lacks_a_counted_task_is_no_listing(self, platform):
        reader = Reader(platform)
        platform.live_list = without("c")

        with pytest.raises(Unavailable, match="lacks 1"):
            reader.tick()

    def test_first_reading_is_completed_by_the_next(self, platform):
        reader = Reader(platform)
        platform.live_list = without("c")
        with pytest.raises(Unavailable):
            reader.tick()

        platform.live_list = without("d")
        reader.tick()

        assert reader.names == set(CREW)

    def test_first_reading_counts_again_when_a_task_ends_meanwhile(self, platform):
        reader = Reader(platform)

        def end_one(tasks):
            platform.end("c")
            return [one for one in tasks if one.name != "c"]

        platform.live_list = end_one
        reader.tick()

        assert reader.names == set(CREW) - {"c"}

    def test_lists_are_accepted_after_a_while_when_counts_never_agree(self, platform, caplog):
        reader = Reader(platform)
        platform.counted = [*map(task, CREW), task("never shown")]

        began = reader.now
        while True:
            try:
                reader.tick()
                break
            except Unavailable:
                assert reader.now - began < FIRST_READING_SECONDS + 3 * TICK_SECONDS

        assert reader.names == set(CREW)
        assert "The lists are accepted" in caplog.text

    def test_first_reading_is_accepted_without_counts(self, platform):
        platform.counts_missing = True
        reader = Reader(platform)

        reader.tick()

        assert reader.names == set(CREW)


class TestCopies:
    """Tasks that somebody has copied in the portal."""

    def test_copy_with_other_name_is_logged_once(self, platform, reader, caplog):
        platform.put(task("copy", "READY", tags={}))

        for _ in range(10):
            reader.tick()

        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "'copy'" in record.getMessage()
        assert "ray down" in record.getMessage()

    def test_original_is_listed_when_its_copy_has_its_name(self, platform, reader, caplog):
        platform.put(task("c", id=task_id("c") + "0"))

        for _ in range(10):
            reader.tick()

        assert reader.cache.tasks()["c"].id == task_id("c")
        assert len(caplog.records) == 1

    def test_copy_is_not_dropped_into_the_originals_place_when_that_ends(self, platform, reader):
        platform.put(task("copy", "READY", tags={}))
        reader.tick()
        platform.end("c")
        reader.tick()

        assert reader.names == {*CREW, "copy"} - {"c"}


RENAMED = {"name": "x", "tags": {}}
WRONG_IDENTITIES = {
    "another name": RENAMED,
    "no tags": {"tags": {}},
    "another type": {"tags": {"ray-node-type": "head"}},
    "another group": {"group_id": "ydid:taskgrp:000000:1:2"},
}


class TestIdentity:
    """Answers that give a known node another identity."""

    @pytest.mark.parametrize("wrong", WRONG_IDENTITIES)
    def test_node_stays_when_a_full_reading_names_it_wrongly(self, platform, reader, wrong):
        before = reader.cache.tasks()
        platform.live_list = renaming("c", WRONG_IDENTITIES[wrong])
        reader.wait_for_full_reading()

        with pytest.raises(MalformedResponse):
            reader.tick()

        assert reader.cache.tasks() == before

    def test_node_stays_when_the_list_after_a_change_names_it_wrongly(self, platform, reader, caplog):
        platform.live_list = renaming("c", RENAMED)
        platform.put(task("f"))

        with pytest.raises(MalformedResponse):
            reader.tick()
        platform.live_list = honest
        reader.tick()

        assert reader.names == {*CREW, "f"}
        assert caplog.records == []

    def test_added_node_stays_when_the_first_list_names_it_wrongly(self, platform, reader):
        platform.put(task("f"))
        reader.cache.add([task("f", "READY")])
        platform.live_list = renaming("f", RENAMED)
        reader.wait_for_full_reading()

        with pytest.raises(MalformedResponse):
            reader.tick()

        assert reader.names == {*CREW, "f"}

    def test_answer_about_one_node_that_names_another_is_requested_again(self, platform, reader):
        platform.live_list = lambda tasks: [one for one in tasks if one.id != task_id("c")]
        platform.put(replace(task("c"), **RENAMED))
        reader.wait_for_full_reading()

        assert "task c" in reader.tick()
        assert reader.names == set(CREW)
        platform.put(task("c", "FAILED"))
        reader.tick()

        assert reader.names == set(CREW) - {"c"}

    def test_node_that_ends_is_dropped_when_the_list_omits_its_tags(self, platform, reader):
        platform.put(task("c", "FAILED", tags={}))
        reader.tick()

        assert reader.names == set(CREW) - {"c"}

    def test_task_that_was_no_node_is_listed_as_one_once_its_answer_is_right(self, platform):
        platform.put(replace(task("a"), **RENAMED))
        reader = Reader(platform)
        reader.tick()
        platform.put(task("a"))
        reader.wait_for_full_reading()
        reader.tick()

        assert reader.names == set(CREW)

    def test_log_does_not_advise_to_abort_a_task_that_may_be_ours(self, platform, reader, caplog):
        platform.put(task("copy", "READY", tags={}))
        reader.tick()

        assert "If somebody copied it or added it by hand" in caplog.text
