"""The admin API of the local platform over HTTP, and the record of calls that it shows."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
import requests
from yellowdog_client import PlatformClient

from tests.contract.test_sdk import provision, submit
from yellowdog_local import faults
from yellowdog_local.testing import RunningPlatform, local_platform

# -- the record -------------------------------------------------------------------------------------------------------


def test_recorded_call_has_exactly_its_fields(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    client.work_client.get_work_requirement_by_id(work.id)
    with pytest.raises(requests.HTTPError):
        client.work_client.get_work_requirement_by_id("ydid:workreq:none")
    added, read, missing = local.calls.since()

    assert (added.method, added.path, added.route, added.status) == (
        "POST",
        "/work/requirements",
        "/work/requirements",
        200,
    )
    assert (read.path, read.route) == (f"/work/requirements/{work.id}", "/work/requirements/{id}")
    assert (missing.route, missing.status) == ("/work/requirements/{id}", 404)
    assert added.bytes_in > 100
    assert read.bytes_out > 100
    assert 0 < read.milliseconds < 5000
    assert {made.agent for made in local.calls.since()} == {"sdk"}
    assert local.key_secret not in repr(local.calls.since())


def test_refused_and_faulty_calls_are_recorded(local: RunningPlatform, http: httpx.Client) -> None:
    http.get("/nowhere/at/all")
    httpx.get(f"{local.url}/work/tasks")
    rule_id = local.faults.add(faults.Status(status=503))
    http.get("/workerPools/")
    http.get("/admin/calls")

    made = [(call.route, call.status, call.fault) for call in local.calls.since()]
    assert made == [("-", 422, None), ("/work/tasks", 401, None), ("/workerPools", 503, rule_id)]


def test_event_stream_is_recorded_when_it_starts(local: RunningPlatform, client: PlatformClient) -> None:
    work = submit(client)
    headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
    with httpx.stream("GET", f"{local.url}/work/requirements/{work.id}/updates", headers=headers):
        assert local.calls.matching("GET /work/requirements/*/updates")[0].status == 200
    deadline = time.monotonic() + 5
    while local.platform._kernel._watchers:
        assert time.monotonic() < deadline, "the server did not notice the end of the stream"
        time.sleep(0.001)
    httpx.get(f"{local.url}/work/tasks", headers=headers)  # served after the stream has ended
    assert local.calls.count("GET /work/requirements/*/updates") == 1


# -- the admin API ----------------------------------------------------------------------------------------------------


def test_admin_api_adds_lists_and_removes_faults(local: RunningPlatform, http: httpx.Client) -> None:
    rule = {"kind": "status", "call": "GET /work/**", "status": 503, "times": 1}
    added = http.post("/admin/faults", json=rule).json()
    assert added == {"id": "fault-1", "rule": rule, "matched": 0, "applied": 0, "spent": False}
    assert [http.get("/work/tasks").status_code for _ in range(2)] == [503, 200]

    (state,) = http.get("/admin/faults").json()["faults"]
    assert (state["matched"], state["applied"], state["spent"]) == (2, 1, True)
    assert http.delete("/admin/faults/fault-1").json()["applied"] == 1
    assert http.delete("/admin/faults/fault-1").status_code == 404
    http.post("/admin/faults", json={"kind": "key-revoked"})
    assert http.get("/work/tasks").status_code == 401
    assert http.delete("/admin/faults").status_code == 200
    assert (http.get("/work/tasks").status_code, local.faults.rules()) == (200, [])


@pytest.mark.parametrize("body", [{"kind": "fire"}, None, {"kind": "delay"}])
def test_admin_api_refuses_an_invalid_rule(http: httpx.Client, body: Any) -> None:
    assert http.post("/admin/faults", json=body).status_code == 400


def test_admin_api_lists_and_counts_calls(http: httpx.Client) -> None:
    for _ in range(3):
        http.get("/work/tasks")
    counted = http.get("/admin/calls/routes").json()
    assert [(route["route"], route["count"]) for route in counted["routes"]] == [("/work/tasks", 3)]
    assert counted["routes"][0]["p95"] > 0

    calls = http.get("/admin/calls?since=1").json()
    assert (calls["mark"], [call["number"] for call in calls["calls"]]) == (3, [2, 3])
    assert http.get("/admin/calls?since=3").json() == {"mark": 3, "calls": []}
    assert http.get("/admin/calls?since=x").status_code == 400


def test_admin_api_steps_the_clock_and_resets(
    local: RunningPlatform, http: httpx.Client, client: PlatformClient
) -> None:
    provision(client)
    assert http.post("/admin/clock", json={"seconds": 2}).json() == {"time": "2026-01-01T00:00:02+00:00"}
    assert len(http.get("/admin/overview").json()["live_nodes"]) == 1
    assert http.post("/admin/clock", json={"seconds": -1}).status_code == 400
    assert http.post("/admin/reset").status_code == 200

    assert http.get("/admin/overview").json()["live_nodes"] == []
    assert (local.calls.count(), local.platform.hosts.instance_ids) == (0, [])  # type: ignore[attr-defined]
    provision(client)  # the name is free again, and the key still opens


def test_admin_api_refuses_to_step_a_real_clock() -> None:
    with local_platform() as local:
        headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
        answer = httpx.post(f"{local.url}/admin/clock", json={"seconds": 1}, headers=headers)
    assert (answer.status_code, "cannot be stepped" in answer.json()["message"]) == (409, True)


@pytest.mark.parametrize("path", ["faults", "calls", "calls/routes", "overview"])
def test_admin_api_demands_the_key(local: RunningPlatform, path: str) -> None:
    assert httpx.get(f"{local.url}/admin/{path}").status_code == 401
