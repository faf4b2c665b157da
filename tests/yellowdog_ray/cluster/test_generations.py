"""The work requirement of a cluster, also where names of ended ones cannot be used again, on a scripted platform."""

from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray import names
from yellowdog_ray.cluster.generations import create_work, find_last_work, find_work
from yellowdog_ray.errors import AlreadyExists, NotAuthorised, Refused, Unavailable
from yellowdog_ray.platform.types import (
    Placement,
    TaskGroupSpec,
    TaskGroupView,
    WorkRequirementEntry,
    WorkRequirementView,
)

BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
SPEC = TaskGroupSpec("head", "ray-head-00000000", timedelta(hours=1))
REFUSALS = [AlreadyExists("taken"), Refused("was used before")]
AMBIGUOUS = [*REFUSALS, Unavailable("no answer")]
CLEAR = [NotAuthorised("no")]


class ScriptedPlatform:
    """Has the given work requirements, and no name twice.

    Attributes:
        lags: whether searches show nothing.
        error: the failure of the next creation, which is not applied.
        taken: the refusal of a name that has been used.
        calls: the calls so far.
    """

    def __init__(self):
        self.works = {}
        self.lags = False
        self.error = None
        self.taken = AlreadyExists("taken")
        self.calls = []

    def add(self, name, *, cluster="ray", finished=False, tag=None):
        """Add a work requirement, later than all others."""
        tag = tag or names.pool_name(cluster, names.HEAD_GROUP, f"{len(self.works):08x}")
        group = TaskGroupView("g", "head", tag, None, None, Placement((tag,), ()))
        status = "COMPLETED" if finished else "RUNNING"
        created = BEGINNING + timedelta(hours=len(self.works))
        work = WorkRequirementView(f"id {name}", name, status, finished, False, created, (group,))
        self.works[name] = work
        return work

    def named_work_requirement(self, name):
        self.calls.append(f"GET {name}")
        return self.works.get(name)

    def work_requirement(self, requirement_id):
        self.calls.append(f"GET {requirement_id}")
        return next(work for work in self.works.values() if work.id == requirement_id)

    def work_requirements(self, name_part, *, finished):
        self.calls.append(f"SEARCH {name_part}")
        return [
            WorkRequirementEntry(work.id, work.name, work.finished, work.created)
            for work in self.works.values()
            if name_part in work.name and (finished or not work.finished) and not self.lags
        ]

    def create_work_requirement(self, name, tag, group):
        self.calls.append(f"POST {name}")
        assert (tag, group) == ("team", SPEC)
        if self.error is not None:
            raise self.error
        if name in self.works:
            raise self.taken
        return self.add(name, tag=group.worker_tag)


@pytest.fixture
def platform():
    return ScriptedPlatform()


def make(platform):
    return create_work(platform, "ray", "team", SPEC)


class TestFind:
    def test_one_call_finds_a_work_requirement_of_the_clusters_name(self, platform):
        work = platform.add("ray")

        assert find_work(platform, "ray") is work
        assert find_last_work(platform, "ray") is work
        assert platform.calls == ["GET ray"] * 2

    def test_unused_name_costs_two_calls_and_no_numbered_name_counts(self, platform):
        platform.add("ray-2")

        assert find_work(platform, "ray") is None
        assert find_last_work(platform, "ray") is None
        assert platform.calls == ["GET ray", "SEARCH ray"] * 2

    def test_ended_cluster_costs_two_calls_without_numbered_names(self, platform):
        platform.add("ray", finished=True)

        assert find_work(platform, "ray") is None
        assert platform.calls == ["GET ray", "SEARCH ray"]

    def test_later_generation_is_found(self, platform):
        platform.add("ray", finished=True)
        platform.add("ray-2", finished=True)
        work = platform.add("ray-3")

        assert find_work(platform, "ray") is work
        assert find_last_work(platform, "ray") is work

    @pytest.mark.parametrize("name", ["ray-2", "ray-02", "ray-1", "ray-x", "ray-", "ray-2-2", "ray-123456"])
    def test_other_clusters_are_not_found(self, platform, name):
        first = platform.add("ray", finished=True)
        platform.add(name, cluster=name)

        assert find_work(platform, "ray") is None
        assert find_last_work(platform, "ray") is first

    def test_work_requirement_that_is_no_cluster_is_found_under_the_own_name_only(self, platform):
        foreign = platform.add("ray", tag="mine")
        platform.add("crew", cluster="crew", finished=True)
        platform.add("crew-2", tag="mine")

        assert find_work(platform, "ray") is foreign
        assert find_work(platform, "crew") is None

    def test_generation_of_another_cluster_is_not_found_under_the_own_name(self, platform):
        platform.add("ray", finished=True)
        platform.add("ray-2", cluster="ray")

        assert find_work(platform, "ray-2") is None
        assert find_last_work(platform, "ray-2") is None

    def test_youngest_of_the_ended_ones_is_the_last(self, platform):
        for name in ("ray", "ray-2"):
            last = platform.add(name, finished=True)
        platform.add("ray-3", cluster="ray-3", finished=True)

        assert find_last_work(platform, "ray") is last

    def test_generation_that_searches_do_not_show_is_found_by_its_name(self, platform):
        platform.add("ray", finished=True)
        platform.add("ray-2", cluster="ray-2")
        work = platform.add("ray-3")
        platform.lags = True

        assert find_last_work(platform, "ray") is work

    def test_work_seen_alive_needs_no_further_lookup(self, platform):
        work = platform.add("ray", finished=True)

        assert find_last_work(platform, "ray", work.id) is work
        assert platform.calls == ["GET ray", "SEARCH ray"]

    def test_two_works_of_one_name_need_no_further_lookup(self, platform, monkeypatch):
        ended = [platform.add("ray", finished=True) for _ in range(2)]
        entries = [WorkRequirementEntry(work.id, work.name, True, work.created) for work in ended]
        monkeypatch.setattr(platform, "work_requirements", lambda *_, **__: entries)

        assert find_last_work(platform, "ray") == platform.works["ray"]
        assert "GET ray-2" not in platform.calls


class TestMake:
    def test_success_needs_no_lookup(self, platform):
        assert make(platform) is platform.works["ray"]
        assert platform.calls == ["POST ray"]

    @pytest.mark.parametrize("error", AMBIGUOUS, ids=repr)
    def test_existing_thing_is_found_by_name_after_ambiguous_failure(self, platform, error):
        work = platform.add("ray")
        platform.error = error

        assert make(platform) is work
        assert platform.calls == ["POST ray", "GET ray"]

    @pytest.mark.parametrize("error", AMBIGUOUS, ids=repr)
    def test_failure_is_raised_when_nothing_exists(self, platform, error):
        platform.error = error

        with pytest.raises(type(error), match=str(error)):
            make(platform)

    @pytest.mark.parametrize("error", CLEAR, ids=repr)
    def test_clear_failure_is_raised_without_lookup(self, platform, error):
        platform.error = error

        with pytest.raises(type(error)):
            make(platform)
        assert platform.calls == ["POST ray"]

    @pytest.mark.parametrize("taken", REFUSALS, ids=repr)
    def test_first_free_number_follows_ended_ones_and_other_clusters(self, platform, taken):
        platform.taken = taken
        platform.add("ray", finished=True)
        platform.add("ray-2", cluster="ray-2")
        platform.add("ray-3", finished=True)
        platform.add("ray-5", finished=True)

        assert make(platform).name == "ray-4"
        assert [call for call in platform.calls if "POST" in call] == ["POST ray", "POST ray-4"]

    def test_refusal_for_another_reason_is_raised_when_the_name_has_been_used(self, platform):
        platform.add("ray", finished=True)
        platform.error = Refused("tag is too long")

        with pytest.raises(Refused, match="tag is too long"):
            make(platform)
        assert [call for call in platform.calls if "POST" in call] == ["POST ray", "POST ray-2"]

    def test_next_number_is_the_same_when_searches_lag(self, platform):
        platform.add("ray", finished=True)
        platform.add("ray-2", finished=True)
        platform.lags = True

        assert make(platform).name == "ray-3"

    def test_generation_of_another_process_is_taken_over(self, platform):
        platform.add("ray", finished=True)
        platform.lags = True
        work = platform.add("ray-2")

        assert make(platform) is work

    def test_failure_is_raised_when_the_taken_name_is_not_shown(self, platform, monkeypatch):
        platform.error = AlreadyExists("taken")
        platform.add("ray", finished=True)
        monkeypatch.setattr(platform, "named_work_requirement", lambda _: None)

        with pytest.raises(AlreadyExists):
            make(platform)
