"""The head's listing while readings fail. `simulation/test_outages.py` and `simulation/test_home.py` have the rest."""

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.monitor.listing import Listing

HEAD = ClusterNode("head", "t", "g", Phase.RUNNING, {})


class Scripted:
    """Cluster, idle end and back-off in one, which records its calls."""

    def __init__(self):
        self.calls = []
        self.failure = None
        self.snapshot = Snapshot({"head": HEAD})
        self.is_due = True
        self.fails_to_end = None

    def refresh(self):
        self.calls.append("list")
        if self.failure is not None:
            raise self.failure
        return self.snapshot

    def tick(self, snapshot):
        assert snapshot is self.snapshot
        self.calls.append("end")
        if self.fails_to_end is not None:
            raise self.fails_to_end

    def outage_ended(self):
        self.calls.append("outage ended")


@pytest.fixture
def cluster():
    return Scripted()


@pytest.fixture
def listing(cluster):
    return Listing(cluster, cluster, cluster)


def test_idle_end_is_no_part_of_a_reading_that_succeeds(cluster, listing):
    assert [listing.read() for _ in range(3)] == [True] * 3

    assert cluster.calls == ["list"] * 3


@pytest.mark.parametrize("fails_to_end", [None, Unavailable("no answer"), TypeError("a mistake")])
def test_failed_reading_and_idle_end_that_is_due_take_turns(cluster, listing, fails_to_end):
    """Each may block the loop for as long as a failing call takes."""
    cluster.failure, cluster.fails_to_end = Unavailable("no answer"), fails_to_end

    assert [listing.read() for _ in range(4)] == [False] * 4

    assert cluster.calls == ["list", "end"] * 2


def test_every_tick_lists_while_no_end_is_due(cluster, listing):
    """An outage ends at the tick after it, as if no cluster ever ended itself."""
    cluster.failure, cluster.is_due = Unavailable("no answer"), False
    listing.read()
    listing.read()
    cluster.failure = None

    assert listing.read()
    assert cluster.calls == ["list", "list", "list", "outage ended"]


def test_head_that_may_be_replaced_ends_nothing_without_a_listing(cluster):
    listing = Listing(cluster, cluster, None)
    cluster.failure = Unavailable("no answer")

    assert [listing.read() for _ in range(3)] == [False] * 3

    assert cluster.calls == ["list"] * 3


def test_failure_is_raised_at_every_tick_without_an_earlier_listing(cluster, listing):
    cluster.failure, cluster.snapshot = Unavailable("no answer"), Snapshot()

    for _ in range(3):
        with pytest.raises(Unavailable):
            listing.read()

    assert cluster.calls == ["list", "end", "list"]


def test_node_that_has_ended_before_its_first_listing_is_listed_once(cluster, listing):
    cluster.terminating = {"aborted"}
    launched = Snapshot(dict.fromkeys(("head", "listed", "aborted", "new"), HEAD))
    after = Snapshot({"head": HEAD})

    assert listing.with_unlisted(launched, after, {"head", "listed"}).nodes.keys() == {"head", "new"}
    assert listing.with_unlisted(after, after, {"head", "new"}) is after
