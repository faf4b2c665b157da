"""Event streams: the state at once, an event per change, comments without changes, the end after the final state."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.common.server_sent_events import SubscriptionEventListener
from yellowdog_client.model import ComputeRequirementStatus, WorkerPoolStatus, WorkRequirementStatus

from tests.contract.test_sdk import add, provision, submit
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform, local_platform


@pytest.fixture
def local() -> Iterator[RunningPlatform]:
    settings = Settings(event_keep_alive_seconds=0.05, event_interval_seconds=0.0)
    with local_platform(clock=SteppedClock(), settings=settings) as running:
        yield running


class Follower:
    """Reads one event stream in a thread of its own, until it ends."""

    def __init__(self, local: RunningPlatform, path: str) -> None:
        self.states: list[dict[str, Any]] = []
        self.comments = 0
        self._headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
        self._url = local.url + path
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with httpx.stream("GET", self._url, headers=self._headers, timeout=10) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    self.states.append(json.loads(line[len("data:") :]))
                elif line.startswith(":"):
                    self.comments += 1

    @property
    def statuses(self) -> list[str]:
        return [state["status"] for state in self.states]

    def until(self, met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not met():
            assert time.monotonic() < deadline, self.states
            time.sleep(0.002)

    def ended(self) -> bool:
        self._thread.join(5)
        return not self._thread.is_alive()


def test_stream_of_work_requirement_starts_with_its_state_and_ends_with_it(
    local: RunningPlatform, client: PlatformClient
) -> None:
    work = submit(client)
    follower = Follower(local, f"/work/requirements/{work.id}/updates")
    follower.until(lambda: len(follower.states) == 1)
    (group,) = follower.states[0]["taskGroups"]
    assert (group["name"], group["waitingOnDependency"], group["starved"]) == ("head", False, False)
    assert (group["taskSummary"]["taskCount"], group["taskSummary"]["statusCounts"]) == (0, {})
    add(client, work, "a")
    follower.until(lambda: len(follower.states) == 2)
    assert follower.states[1]["taskGroups"][0]["taskSummary"]["statusCounts"] == {"READY": 1}
    client.work_client.cancel_work_requirement_by_id(work.id)
    assert follower.ended()
    assert follower.statuses == ["RUNNING", "RUNNING", "CANCELLED"]


def test_streams_of_a_pool_and_its_requirement_end_with_their_termination(
    local: RunningPlatform, client: PlatformClient
) -> None:
    pool = provision(client)
    pools = Follower(local, f"/workerPools/{pool.id}/updates")
    requirements = Follower(local, f"/compute/requirements/{pool.computeRequirementId}/updates")
    pools.until(lambda: pools.statuses == ["PENDING"])
    requirements.until(lambda: len(requirements.states) == 1)
    (source,) = requirements.states[0]["provisionStrategy"]["sources"]
    assert (source["name"], source["instanceSummary"]["aliveCount"]) == ("local", 1)
    local.advance(2)
    pools.until(lambda: pools.statuses[-1] == "IDLE")
    assert pools.states[-1]["nodeSummary"]["statusCounts"] == {"RUNNING": 1}
    assert pools.states[-1]["nodeSummary"]["actionQueueStatuses"] == {"EMPTY": 1}
    assert pools.states[-1]["workerSummary"]["statusCounts"] == {"STOPPED": 1}
    client.worker_pool_client.shutdown_worker_pool_by_id(pool.id)
    assert pools.ended()
    assert requirements.ended()
    assert (pools.statuses[-1], requirements.statuses[-1]) == ("TERMINATED", "TERMINATED")


def test_stream_of_a_finished_entity_sends_one_event(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    client.work_client.cancel_work_requirement_by_id(work.id)
    follower = Follower(local, f"/work/requirements/{work.id}/updates")
    assert follower.ended()
    assert follower.statuses == ["CANCELLED"]


def test_stream_sends_comments_without_changes(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    follower = Follower(local, f"/work/requirements/{work.id}/updates")
    follower.until(lambda: follower.comments >= 2)
    client.work_client.get_work_requirement_by_id(work.id)
    submit(client, "another")
    follower.until(lambda: follower.comments >= 4)
    assert follower.statuses == ["RUNNING"]
    client.work_client.cancel_work_requirement_by_id(work.id)
    assert follower.ended()


def test_stream_stays_open_after_the_end_when_set_so() -> None:
    settings = Settings(close_finished_event_streams=False, event_keep_alive_seconds=0.02)
    with local_platform(clock=SteppedClock(), settings=settings) as local, local.client() as client:
        work = submit(client)
        client.work_client.cancel_work_requirement_by_id(work.id)
        follower = Follower(local, f"/work/requirements/{work.id}/updates")
        follower.until(lambda: follower.comments >= 2)
        started = time.monotonic()
    assert follower.ended()
    assert time.monotonic() - started < 3  # an open stream does not keep the server from stopping


def test_closed_stream_is_released(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    watchers = local.platform._kernel._watchers
    with httpx.stream("GET", f"{local.url}/work/requirements/{work.id}/updates", headers=headers) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert len(watchers) == 1
    deadline = time.monotonic() + 5
    while watchers:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_stream_demands_a_key_and_an_entity(local: RunningPlatform) -> None:
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    assert httpx.get(f"{local.url}/work/requirements/ydid:workreq:0:none/updates").status_code == 401
    missing = httpx.get(f"{local.url}/work/requirements/ydid:workreq:0:none/updates", headers=headers)
    assert (missing.status_code, missing.json()["errorType"]) == (404, "NotFoundException")


class _Listener(SubscriptionEventListener[Any]):
    """Listens until a status is reached."""

    def __init__(self, status: Any) -> None:
        self.received = threading.Event()
        self._status = status

    def updated(self, obj: Any) -> None:
        if obj.status is self._status:
            self.received.set()

    def subscription_error(self, error: Exception) -> None:
        raise error

    def subscription_cancelled(self) -> None:
        """Ignored."""


def test_sdk_listener_receives_changes_of_a_work_requirement(client: PlatformClient) -> None:
    work, listener = submit(client), _Listener(WorkRequirementStatus.HELD)
    client.work_client.add_work_requirement_listener(work, listener)
    client.work_client.hold_work_requirement_by_id(work.id)
    assert listener.received.wait(5)
    client.work_client.remove_work_requirement_listener(listener)


def test_sdk_listener_receives_changes_of_pools_and_requirements(
    local: RunningPlatform, client: PlatformClient
) -> None:
    pool = provision(client)
    requirement = client.compute_client.get_compute_requirement_by_id(pool.computeRequirementId)
    booted, running = _Listener(WorkerPoolStatus.IDLE), _Listener(ComputeRequirementStatus.RUNNING)
    client.worker_pool_client.add_worker_pool_listener(pool, booted)
    client.compute_client.add_compute_requirement_listener(requirement, running)
    local.advance(2)
    assert booted.received.wait(5)
    assert running.received.wait(5)
    client.worker_pool_client.remove_worker_pool_listener(booted)
    client.compute_client.remove_compute_requirement_listener(running)


def test_reset_ends_every_stream(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    follower = Follower(local, f"/work/requirements/{work.id}/updates")
    follower.until(lambda: len(follower.states) == 1)
    local.platform.reset()
    assert follower.ended()
    assert follower.statuses == ["RUNNING"]


def _raw_events(settings: Settings) -> list[str]:
    """The lines of a work requirement's stream, from its subscription while it is RUNNING to its cancellation."""
    with local_platform(clock=SteppedClock(), settings=settings) as local, local.client() as client:
        work = submit(client)
        headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
        url = f"{local.url}/work/requirements/{work.id}/updates"
        with httpx.stream("GET", url, headers=headers, timeout=10) as answer:
            lines = answer.iter_lines()
            seen = [next(lines)]  # the state, or a comment: the stream is there
            client.work_client.cancel_work_requirement_by_id(work.id)
            return [line for line in (*seen, *lines) if line and not line.startswith(":")]


def test_events_have_the_name_and_ids_of_the_settings() -> None:
    quick = {"event_interval_seconds": 0.0, "event_keep_alive_seconds": 0.05}
    plain = _raw_events(Settings(**quick))
    other = _raw_events(Settings(event_name="update", event_ids=True, **quick))
    assert [line for line in plain if not line.startswith("data:")] == ["event: entity_updated"] * 2
    assert [line for line in other if not line.startswith("data:")] == [
        "event: update",
        "id: 1",
        "event: update",
        "id: 2",
    ]


def test_stream_begins_with_the_first_change_when_set_so() -> None:
    quick = {"event_interval_seconds": 0.0, "event_keep_alive_seconds": 0.05}
    (state,) = [
        json.loads(line.removeprefix("data:"))
        for line in _raw_events(Settings(event_streams_begin_with_state=False, **quick))
        if line.startswith("data:")
    ]
    assert state["status"] == "CANCELLED"
