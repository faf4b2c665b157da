"""Faults over HTTP: the SDK with refused, applied, hanging, cut and delayed calls."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import httpx
import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ComputeRequirementStatus,
    NodeSearch,
    TaskSearch,
    WorkerPoolSearch,
    WorkRequirementSearch,
)
from yellowdog_client.model.exceptions import InternalServerException, InvalidRequestException

from tests.contract.test_sdk import add, provision, submit
from tests.yellowdog_local.host_support import eventually
from yellowdog_local import faults
from yellowdog_local.state.clock import RealClock
from yellowdog_local.testing import RunningPlatform, local_platform

ADD_WORK = "POST /work/requirements"
LIST_WORK = "GET /work/requirements"
NOT_JSON_OF_THE_PLATFORM = "application/problem+json"


def names(client: PlatformClient) -> list[str]:
    return [work.name for work in client.work_client.get_work_requirements(WorkRequirementSearch()).list_all()]


UPDATES = "GET /work/requirements/*/updates"


def test_cut_ends_an_event_stream_in_its_first_event(
    local: RunningPlatform, http: httpx.Client, client: PlatformClient
) -> None:
    work = submit(client)
    path = f"/work/requirements/{work.id}/updates"
    parts: list[bytes] = []
    local.faults.add(faults.Cut(call=UPDATES, times=1))
    with http.stream("GET", path) as answer, pytest.raises(httpx.RemoteProtocolError):
        parts.extend(answer.iter_raw())
    got = b"".join(parts)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert got.startswith(b"event: entity_updated\ndata: {")
    assert not got.endswith(b"\n\n")
    with http.stream("GET", path) as again:
        assert next(again.iter_lines()) == "event: entity_updated"


def test_apply_then_fail_applies_to_an_event_stream(
    local: RunningPlatform, http: httpx.Client, client: PlatformClient
) -> None:
    work = submit(client)
    path = f"/work/requirements/{work.id}/updates"
    with local.faults.during(faults.ApplyThenFail(call=UPDATES, status=503)):
        answer = http.get(path)
    assert answer.status_code == 503
    eventually(lambda: local.platform._kernel._watchers == set())  # no follower is left


def test_event_stream_continues_after_a_hang(
    local: RunningPlatform, http: httpx.Client, client: PlatformClient
) -> None:
    work = submit(client)
    rule_id = local.faults.add(faults.Hang(call=UPDATES, applied=True))
    timer = threading.Timer(0.1, lambda: local.faults.remove(rule_id))
    timer.start()
    with http.stream("GET", f"/work/requirements/{work.id}/updates") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: entity_updated"
        client.work_client.cancel_work_requirement_by_id(work.id)
        states = [line for line in lines if line.startswith("data:")]
    timer.join()
    assert '"status":"CANCELLED"' in states[-1]


# -- calls ------------------------------------------------------------------------------------------------------------


def test_status_answers_like_a_gateway_or_the_platform(local: RunningPlatform, http: httpx.Client) -> None:
    local.faults.add(faults.Status(call=LIST_WORK, status=502, times=1, message="upstream"))
    local.faults.add(faults.Status(call=LIST_WORK, status=429, times=1, retry_after_seconds=7))
    local.faults.add(faults.Status(call=LIST_WORK, status=404, times=1, error_type="NotFoundException"))
    gateway, throttled, refused, after = (http.get("/work/requirements") for _ in range(4))

    assert (gateway.status_code, gateway.headers["content-type"]) == (502, NOT_JSON_OF_THE_PLATFORM)
    assert gateway.json() == {"type": "about:blank", "title": "Bad Gateway", "status": 502, "detail": "upstream"}
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "7")
    assert (refused.status_code, refused.json()["errorType"]) == (404, "NotFoundException")
    assert after.status_code == 200


def test_sdk_retries_after_the_given_time(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Status(call=LIST_WORK, status=429, times=1, retry_after_seconds=1))
    began = time.monotonic()
    assert names(client) == []

    assert time.monotonic() - began >= 1
    assert [made.status for made in local.calls.matching(LIST_WORK)] == [429, 200]


def test_error_type_becomes_its_exception_in_the_sdk(local: RunningPlatform, client: PlatformClient) -> None:
    rule = faults.Status(call=ADD_WORK, status=400, error_type="InvalidRequestException", message="no")
    with local.faults.during(rule), pytest.raises(InvalidRequestException, match="no"):
        submit(client)
    submit(client)
    assert names(client) == ["work"]


def test_apply_then_fail_applies_the_call(local: RunningPlatform, client: PlatformClient) -> None:
    rule = faults.ApplyThenFail(call=ADD_WORK, status=500, error_type="InternalServerException", times=1)
    rule_id = local.faults.add(rule)
    # The SDK retries a failed POST, and gets the answer that the name is taken: by itself.
    with pytest.raises(InvalidRequestException, match="already exists"):
        submit(client)

    assert names(client) == ["work"]
    assert local.faults.applied(rule_id) == 1
    assert [made.status for made in local.calls.matching(ADD_WORK)] == [500, 400]


def test_apply_then_fail_raises_when_it_always_applies(local: RunningPlatform, client: PlatformClient) -> None:
    rule = faults.ApplyThenFail(call="POST /work/taskGroups/*/tasks", error_type="InternalServerException")
    work = submit(client)
    with local.faults.during(rule), pytest.raises((InternalServerException, requests.RequestException)):
        add(client, work)
    with local.faults.during(rule), pytest.raises((InternalServerException, requests.RequestException)):
        add(client, work, "one")
    assert [task.entity.name for task in local.platform.store.tasks.values()] == ["one"]


def test_cut_closes_the_connection_within_the_answer(local: RunningPlatform, client: PlatformClient) -> None:
    local.faults.add(faults.Cut(call=ADD_WORK, times=1))
    local.faults.add(faults.Cut(call="DELETE /workerPools/*", times=1))
    # urllib3 2 misses the rest of the body; to urllib3 1 it is half a JSON text.
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.JSONDecodeError)):
        submit(client)
    assert names(client) == ["work"]

    pool = provision(client)
    with suppress(requests.exceptions.ChunkedEncodingError):  # this answer is not read, and urllib3 1 detects no gap
        client.worker_pool_client.shutdown_worker_pool(pool)
    local.advance()
    assert not local.platform.store.pool(pool.id).status.available
    assert local.calls.matching(ADD_WORK)[0].status == 0


@pytest.mark.parametrize(("applied", "made"), [(False, 0), (True, 1)])
def test_hang_makes_the_call_time_out(local: RunningPlatform, applied: bool, made: int) -> None:
    local.faults.add(faults.Hang(call=ADD_WORK, applied=applied))
    client = local.client(read_timeout_seconds=0.3)
    with client, pytest.raises(requests.exceptions.RequestException):
        submit(client)
    eventually(lambda: local.calls.count(ADD_WORK))

    assert len(local.platform.store.works) == made
    assert [call.status for call in local.calls.matching(ADD_WORK)] == [0]  # a POST that times out is not repeated


@pytest.mark.parametrize("applied", [False, True])
def test_hung_call_is_served_when_the_rule_is_removed(
    local: RunningPlatform, http: httpx.Client, applied: bool
) -> None:
    rule_id = local.faults.add(faults.Hang(call=LIST_WORK, applied=applied))
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(http.get("/work/requirements?sliced=true")))
    thread.start()
    eventually(lambda: local.faults.applied(rule_id))
    assert answers == []
    local.faults.remove(rule_id)
    thread.join(5)

    assert [answer.json() for answer in answers] == [{"items": []}]


def test_stopping_platform_serves_a_hung_call() -> None:
    """A call that it does not serve would delay its end by a second, and then be cut."""
    answers: list[int] = []
    with local_platform(clock=RealClock()) as local:
        rule_id = local.faults.add(faults.Hang())
        url = f"{local.url}/work/tasks"
        thread = threading.Thread(target=lambda: answers.append(requests.get(url, timeout=10).status_code))
        thread.start()
        eventually(lambda: local.faults.applied(rule_id))
    thread.join(5)

    assert answers == [401]  # the call had no key


def test_delay_lasts_as_long_as_given(local: RunningPlatform, http: httpx.Client) -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert http.get("/work/requirements").status_code == 200
        return time.monotonic() - began

    with local.faults.during(faults.Delay(call=LIST_WORK, seconds=0.3)):
        assert seconds() >= 0.3
    assert seconds() < 0.3


def test_same_calls_fail_with_the_same_seed(local: RunningPlatform, http: httpx.Client) -> None:
    def drawn() -> list[int]:
        with local.faults.during(faults.Status(status=500, probability=0.5, seed=3)):
            return [http.get("/work/requirements").status_code for _ in range(20)]

    first = drawn()
    assert set(first) == {200, 500}
    assert drawn() == first


def test_revoked_key_is_refused_until_the_rule_is_removed(local: RunningPlatform, client: PlatformClient) -> None:
    with local.faults.during(faults.KeyRevoked()):
        for call in (lambda: names(client), lambda: submit(client)):
            with pytest.raises(requests.HTTPError, match="401 Client Error: Unauthorized"):
                call()
    assert names(client) == []


def test_rule_for_all_calls_spares_agents_and_administrators(local: RunningPlatform, http: httpx.Client) -> None:
    local.faults.add(faults.Status(status=500))
    agent = httpx.post(f"{local.url}/agent/register", headers={"Authorization": "yd-agent none"}, json={})
    assert agent.status_code == 401
    assert http.get("/admin/faults").status_code == 200
    local.faults.add(faults.Status(call="POST /agent/**", status=503))
    assert httpx.post(f"{local.url}/agent/register").status_code == 503


# -- machines, clouds and lists ---------------------------------------------------------------------------------------


def test_listing_lag_delays_new_nodes_and_tasks(local: RunningPlatform, client: PlatformClient) -> None:
    def listed() -> tuple[int, int]:
        nodes = client.worker_pool_client.get_nodes(NodeSearch()).list_all()
        return len(nodes), len(client.work_client.get_tasks(TaskSearch()).list_all())

    with local.faults.during(faults.ListingLag(seconds=30)):
        pool = provision(client)
        work = submit(client)
        tasks = add(client, work, "one")
        local.advance(2)
        assert client.work_client.get_task_by_id(tasks[0].id).name == "one"  # a read by id finds it
        assert client.worker_pool_client.get_worker_pool_by_id(pool.id).nodeSummary.statusCounts
        assert listed() == (0, 0)
        local.advance(28)
        assert listed() == (0, 1)
        local.advance(2)
        assert listed() == (1, 1)


def test_pool_is_unhealthy_without_capacity_and_its_source_gives_the_reason(
    local: RunningPlatform, client: PlatformClient
) -> None:
    with local.faults.during(faults.Capacity(source="local")):
        pool = provision(client)
    (summary,) = client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all()
    requirement = client.compute_client.get_compute_requirement_by_id(pool.computeRequirementId)

    (source,) = requirement.provisionStrategy.sources
    assert summary.healthy is False
    assert requirement.status is ComputeRequirementStatus.PROVISIONING
    assert source.statusMessage.startswith("InsufficientInstanceCapacity")


def test_notice_is_shown_on_the_node(local: RunningPlatform, client: PlatformClient) -> None:
    provision(client)
    local.advance(2)
    local.faults.add(faults.Lost(notice=True, notice_seconds=30))
    local.advance()
    (node,) = client.worker_pool_client.get_nodes(NodeSearch()).list_all()

    assert node.preemptionWarningTime == local.clock.now()
    assert node.status.value == "RUNNING"
    local.advance(30)
    assert client.worker_pool_client.get_node_by_id(node.id).status.value == "TERMINATED"
