"""What `request_resources` has asked for survives the control store. `simulation/` has a test of the effect."""

import json
from typing import Any

import pytest

from yellowdog_ray.errors import RayDogError
from yellowdog_ray.monitor.gcs import Bundle
from yellowdog_ray.monitor.requested_resources import INTERVAL_SECONDS, MAX_ATTEMPTS, RequestedResources

BUNDLES: list[Bundle] = [({"CPU": 1.0}, {}, 2)]


class Store:
    """A control store, the time, and the keeper of what is requested."""

    def __init__(self, file: Any) -> None:
        self.now = 0.0
        self.answer: tuple[bool, list[Bundle]] | None = (True, BUNDLES)
        self.requests: list[list[Bundle]] = []
        self.reads = 0
        self.file = file
        self.start_keeper()

    def start_keeper(self) -> None:
        nodes: Any = self
        self.keeper = RequestedResources(nodes, lambda: self.now, self.file)

    def requested_resources(self) -> tuple[bool, list[Bundle]] | None:
        self.reads += 1
        return self.answer

    def request_resources(self, bundles: list[Bundle]) -> bool:
        self.requests.append(bundles)
        return True

    def tick(self, seconds: float = INTERVAL_SECONDS) -> None:
        self.now += seconds
        self.keeper.tick()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "requested")
    store.tick()
    return store


def test_lost_request_is_made_again_and_the_tick_skipped(store):
    store.answer = (False, [])
    with pytest.raises(RayDogError, match="has restarted"):
        store.tick()

    assert store.requests == [BUNDLES]


def test_lost_request_is_made_again_by_the_next_process(store):
    store.start_keeper()
    store.answer = (False, [])
    with pytest.raises(RayDogError):
        store.tick(0)

    assert store.requests == [BUNDLES]


def test_nothing_is_requested_while_the_store_is_down(store):
    store.answer = None
    store.tick()

    assert store.requests == []


def test_withdrawn_request_is_forgotten(store):
    for answer in ((True, []), (False, [])):
        store.answer = answer
        store.tick()

    assert (store.requests, json.loads(store.file.read_text())) == ([], [])


def test_keeper_gives_up_with_an_error_when_the_store_refuses(store, caplog):
    store.answer = (False, [])
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(RayDogError):
            store.tick()
    store.tick()
    store.tick()

    assert len(store.requests) == MAX_ATTEMPTS
    assert ["call it again" in message for message in caplog.messages] == [True]


def test_store_is_read_at_intervals_while_nothing_is_requested(store):
    store.answer = (False, [])
    store.keeper = RequestedResources(store, lambda: store.now, store.file.with_name("other"))
    before = store.reads
    for _ in range(10):
        store.tick(INTERVAL_SECONDS / 5)

    assert store.reads == before + 2


@pytest.mark.parametrize("text", ["", "{", "[1]", "[[1, 2, 3]]", '{"a": 1}', "null"])
def test_file_of_others_is_ignored(tmp_path, text):
    file = tmp_path / "requested"
    file.write_text(text)
    store = Store(file)
    store.answer = (False, [])
    store.tick()

    assert store.requests == []
