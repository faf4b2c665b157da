from __future__ import annotations

from dataclasses import dataclass

import pytest

from yellowdog_local.faults import Faults, Hang, ListingLag
from yellowdog_local.faults.lists import LaggingLists
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.settings import Settings


@dataclass(frozen=True)
class Item:
    seq: int


class Scene:
    """Lists of items, with the rules that hide new ones."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.kernel = Kernel(self.clock, Settings(), run_pass=lambda: None)
        self.faults = Faults()
        self.lists = LaggingLists(self.kernel, self.faults)
        self.items: list[Item] = []

    def make(self) -> None:
        self.items.append(Item(self.kernel.next_sequence()))

    def shown(self, route: str = "/work/tasks") -> list[int]:
        return [item.seq for item in self.lists.visible("GET", route, self.items)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_new_record_is_hidden_until_its_time_and_older_ones_are_shown(scene: Scene) -> None:
    scene.make()
    scene.faults.add(ListingLag(seconds=5))
    scene.make()
    scene.clock.advance(3)
    scene.make()
    assert scene.shown() == [1]
    scene.clock.advance(2)
    assert scene.shown() == [1, 2]
    scene.clock.advance(3)
    assert scene.shown() == [1, 2, 3]


def test_only_matching_calls_lag(scene: Scene) -> None:
    scene.faults.add(ListingLag(seconds=5, call="GET /work/**"))
    scene.make()
    assert (scene.shown(), scene.shown("/compute/requirements")) == ([], [1])


def test_times_are_kept_only_while_a_rule_is_active(scene: Scene) -> None:
    scene.faults.add(Hang())
    assert scene.kernel.made is None
    first, second = (scene.faults.add(ListingLag(seconds=5)) for _ in range(2))
    scene.make()
    scene.faults.remove(first)
    assert len(scene.kernel.made or ()) == 1
    scene.faults.remove(second)
    assert (scene.kernel.made, scene.shown()) == (None, [1])
