"""A head that has replaced another, and one that was replaced."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.monitor.replaced_head import ReplacedHead

FIRST, SECOND = "head-0badcafe", "head-0badcafe-r1"


def listing(*node_ids: str) -> Snapshot:
    nodes = [ClusterNode(id_, f"task {id_}", "group", Phase.RUNNING, {"ray-node-type": "head"}) for id_ in node_ids]
    return Snapshot({node.id: node for node in nodes})


class Head:
    """The autoscaler of a head, with what it has done."""

    def __init__(self, head_id: str) -> None:
        self.closed: list[str] = []
        self.tags: list[Any] = []
        self.stores = True
        launcher: Any = SimpleNamespace(close=self.closed.append)
        tag_store: Any = SimpleNamespace(set=lambda *tags: self.tags.append(tags) or self.stores)
        self.place = ReplacedHead(head_id, launcher, tag_store, is_replacement=head_id != FIRST)


@pytest.fixture
def first() -> Head:
    """The head of `ray up`."""
    return Head(FIRST)


@pytest.fixture
def second() -> Head:
    """A head that has replaced it."""
    return Head(SECOND)


def test_head_goes_on_while_it_is_listed_alone(first):
    assert first.place.observe(listing(FIRST, "worker-1"))
    assert (first.closed, first.tags) == ([], [])


def test_head_goes_on_before_a_listing_shows_it(first):
    assert first.place.observe(listing())


@pytest.mark.parametrize("later", [[SECOND], [FIRST, SECOND], []], ids=["replaced", "both", "its task has ended"])
def test_head_launches_nothing_after_another_has_replaced_it(first, later):
    first.place.observe(listing(FIRST))

    assert not first.place.observe(listing(*later))
    assert not first.place.observe(listing(FIRST)), "for good"
    assert len(first.closed) == 2


def test_new_head_goes_on_while_a_list_still_shows_the_lost_one(second):
    assert second.place.observe(listing(FIRST, SECOND))
    assert second.closed == []


def test_new_head_sets_its_status_until_the_tag_store_takes_it(second):
    second.stores = False
    second.place.observe(listing(SECOND))
    second.stores = True
    for _ in range(2):
        second.place.observe(listing(SECOND))

    assert second.tags == [(SECOND, {"ray-node-status": "up-to-date"})] * 2
