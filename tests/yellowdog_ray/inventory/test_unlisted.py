"""Clusters that a search lacks, by the names of their pools; on a platform of views."""

import pytest

from tests.yellowdog_ray.inventory.conftest import TAG, make_work
from tests.yellowdog_ray.inventory.test_leftovers import Views
from yellowdog_ray import names
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.inventory.unlisted import MAX_NAMES, find_unlisted

WORKER_POOL = "demo-cpu-abcdef-0a0b0c0d"


class Reads(Views):
    """Counts reads by name, of which some fail."""

    def __init__(self, *works, failing=()):
        super().__init__(*works)
        self.read = []
        self.failing = failing

    def named_work_requirement(self, name):
        self.read.append(name)
        if name in self.failing:
            raise Unavailable("no answer")
        return super().named_work_requirement(name)


def find(platform, *pools):
    return find_unlisted(lambda _: platform, [("demo", pool) for pool in pools])


@pytest.mark.parametrize("pools", [(TAG,), (TAG, WORKER_POOL), (WORKER_POOL,)])
def test_living_cluster_is_found_by_any_of_its_pools_with_one_call(pools):
    platform = Reads(make_work(live=1))

    found = find(platform, *pools)

    assert [(one.namespace, one.name, one.work.id) for one in found.clusters] == [("demo", "demo", "w")]
    assert (found.unread, found.reasons, platform.read) == (frozenset(), (), ["demo"])


@pytest.mark.parametrize("work", [make_work(tag="demo-head-ffffffff"), make_work("other")])
def test_pool_of_another_incarnation_or_of_nobody_shows_no_cluster(work):
    found = find(Reads(work), TAG)

    assert (found.clusters, found.unread) == ((), frozenset())


def test_cluster_that_cannot_be_read_is_no_proof_that_there_is_none():
    found = find(Reads(failing=("demo",)), TAG, WORKER_POOL)

    assert found.unread == {("demo", TAG), ("demo", WORKER_POOL)}
    assert found.reasons == (f"the cluster of {WORKER_POOL}, {TAG}: no answer",)


def test_shortened_name_is_no_proof_that_there_is_no_cluster():
    pool = names.pool_name("c" * 60, "head", "0a0b0c0d")

    platform = Reads()

    assert find(platform, pool).unread == {("demo", pool)}
    assert platform.read == []


def test_shortened_name_does_not_matter_beside_a_whole_one():
    long, short = f"demo-{'x' * 39}-abcdef-0a0b0c0d", WORKER_POOL
    assert len(long) == names.MAX_NAME_LENGTH

    assert [one.name for one in find(Reads(make_work(live=1)), long, short).clusters] == ["demo"]


def test_names_beyond_the_limit_are_reported_unread():
    pools = [f"c{number}-head-{number:08x}" for number in range(MAX_NAMES + 2)]
    platform = Reads()

    found = find(platform, *pools)

    assert len(set(platform.read)) == MAX_NAMES
    assert len(found.unread) == 2
    assert "only 10 names are read" in found.reasons[0]
