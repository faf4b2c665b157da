"""HTTP below the SDK: refusals, forms of paths, the agents' protocol."""

from __future__ import annotations

import gzip
import json
import threading
import time
from email.utils import format_datetime
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import SortDirection, TaskStatus, WorkRequirementSearch

from tests.contract.test_sdk import add, provision, submit
from yellowdog_local.hosts.base import HostAddress, HostListener, HostRequest
from yellowdog_local.state.clock import RealClock, SteppedClock
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform, local_platform


def test_wrong_key_is_unauthorized(local: RunningPlatform) -> None:
    for headers in ({}, {"Authorization": "yd-key a:b"}, {"Authorization": f"Bearer {local.key_secret}"}):
        answer = httpx.get(f"{local.url}/work/requirements", headers=headers)
        assert (answer.status_code, answer.reason_phrase) == (401, "Unauthorized")
        assert answer.json()["errorType"] == "UnauthorizedException"


def test_uncovered_route_is_status_422(http: httpx.Client) -> None:
    answer = http.get("/cloudInfo/regions")
    assert answer.status_code == 422
    assert answer.json()["message"] == "GET /cloudInfo/regions is not covered by the local platform"


def test_internal_error_keeps_the_connection_open(
    local: RunningPlatform, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.platform, "locked", Mock(side_effect=ZeroDivisionError("a bug")))

    responses = [http.get("/work/requirements") for _ in range(2)]

    assert [response.status_code for response in responses] == [500, 500]
    assert "ZeroDivisionError: a bug" in responses[0].text
    first, second = (response.extensions["network_stream"].get_extra_info("client_addr") for response in responses)
    assert first == second


def test_trailing_slash_is_optional(http: httpx.Client) -> None:
    for path in ("/workerPools", "/workerPools/", "/namespaces", "/namespaces/", "/application", "/application/"):
        assert http.get(path).status_code == 200


def test_list_is_flat_without_sliced(http: httpx.Client, client: PlatformClient) -> None:
    for n in range(5):
        submit(client, f"work-{n}")
    assert len(http.get("/work/requirements").json()) == 5
    assert len(http.get("/work/requirements?sliced=true").json()["items"]) == 3
    assert len(http.get("/work/requirements?sliced=TRUE&size=5").json()["items"]) == 5


def test_time_has_three_digits_and_a_z(http: httpx.Client, client: PlatformClient) -> None:
    work = submit(client)
    assert http.get(f"/work/requirements/{work.id}").json()["createdTime"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "w"}, "namespace must be set"),
        ({"namespace": "demo", "name": 5}, "name must be a string"),
        ({"namespace": "demo", "name": "w", "priority": "high"}, "priority must be a number"),
        (
            {"namespace": "demo", "name": "w", "taskGroups": [{"name": "g", "runSpecification": {"taskTypes": "x"}}]},
            "taskGroups[0].runSpecification.taskTypes must be a list",
        ),
        (
            {
                "namespace": "demo",
                "name": "w",
                "taskGroups": [{"name": "g", "runSpecification": {"taskTypes": ["x"], "providers": ["MOON"]}}],
            },
            "taskGroups[0].runSpecification.providers[0] must be one of AWS",
        ),
        (
            {
                "namespace": "demo",
                "name": "w",
                "taskGroups": [{"name": "g", "runSpecification": {"taskTypes": ["x"], "taskTimeout": "P1M"}}],
            },
            "taskTimeout must be an ISO 8601 duration",
        ),
    ],
)
def test_malformed_body_is_refused_with_the_name_of_the_field(http: httpx.Client, body: Any, says: str) -> None:
    answer = http.post("/work/requirements", json=body)
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "InvalidRequestException"
    assert says in answer.json()["message"]


def test_unknown_fields_are_ignored_and_unknown_filter_values_refused(http: httpx.Client) -> None:
    body = gzip.compress(json.dumps({"namespace": "demo", "name": "w", "retired": 1}).encode())
    answer = http.post("/work/requirements", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert http.get("/work/requirements?statuses=LAUGHING").status_code == 400
    assert http.get("/work/tasks?size=1001").status_code == 400
    assert http.get("/work/tasks?sliceId=nonsense").status_code == 400


class ManualHosts:
    """Hosts that run at once; the test plays their agents over HTTP."""

    kind = "manual"

    def __init__(self) -> None:
        self.requests: list[HostRequest] = []
        self.listeners: dict[str, HostListener] = {}

    def create(self, request: HostRequest, listener: HostListener) -> None:
        self.requests.append(request)
        self.listeners[request.instance_id] = listener
        listener.host_running(request.instance_id, HostAddress("host", "10.0.0.1", "10.0.0.1"))

    def destroy(self, instance_id: str) -> None:
        listener = self.listeners.pop(instance_id, None)
        if listener is not None:
            listener.host_gone(instance_id, "")

    def close(self) -> None:
        for instance_id in list(self.listeners):
            self.destroy(instance_id)


class Agent:
    """An agent controlled by the test."""

    def __init__(self, local: RunningPlatform, request: HostRequest) -> None:
        headers = {"Authorization": f"yd-agent {request.agent_token}"}
        self.http = httpx.Client(base_url=local.url, headers=headers, timeout=30)
        self.registration = {
            "instanceId": request.instance_id,
            "hostname": "host",
            "privateIpAddress": "10.0.0.1",
            "publicIpAddress": "10.0.0.1",
            "vcpus": 2.0,
            "ram": 4.0,
            "supportedTaskTypes": ["bash"],
            "agentVersion": "1",
        }
        self.node_id = ""

    def register(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post("/agent/register", json=self.registration).raise_for_status().json()
        self.node_id = answer["nodeId"]
        return answer

    def poll(self, after: int = 0, wait: float = 0) -> httpx.Response:
        return self.http.get(f"/agent/nodes/{self.node_id}/commands", params={"after": after, "wait": wait})

    def say(self, **event: Any) -> None:
        events = {"events": [event]}
        self.http.post(f"/agent/nodes/{self.node_id}/events", json=events).raise_for_status()


def test_agent_registers_runs_aborts_and_shuts_down() -> None:
    with local_platform(hosts=ManualHosts(), clock=RealClock()) as local, local.client() as client:
        pool = provision(client)
        agent = Agent(local, local.hosts.requests[0])  # type: ignore[attr-defined]
        answer = agent.register()
        assert answer == {
            "nodeId": agent.node_id,
            "heartbeatSeconds": 10.0,
            "abortGraceSeconds": 30.0,
            "abortProcessGroup": False,
            "taskEnvironment": {},
            "taskUmask": None,
        }
        assert agent.register()["nodeId"] == agent.node_id

        (task,) = add(client, submit(client), "a")
        (command,) = agent.poll(wait=5).json()["commands"]
        assert (command["sequence"], command["type"]) == (1, "RUN_TASK")
        assert command["task"] == {
            "taskId": task.id,
            "attempt": 0,
            "slot": 1,
            "taskGroupId": task.taskGroupId,
            "taskType": "bash",
            "arguments": ["taskdata.txt"],
            "environment": {},
            "taskData": "echo hi",
        }
        agent.say(taskId=task.id, attempt=0, type="STARTED")
        assert client.work_client.get_task_by_id(task.id).status is TaskStatus.EXECUTING

        client.work_client.cancel_task_by_id(task.id, abort=True)
        assert agent.poll(after=1).json()["commands"] == [{"sequence": 2, "type": "ABORT_TASK", "taskId": task.id}]
        for _ in range(2):
            agent.say(taskId=task.id, attempt=0, type="FINISHED", exitCode=143)
        assert client.work_client.get_task_by_id(task.id).status is TaskStatus.ABORTED

        # Its pool's idleNodeShutdown is 0 s, so the node is shut down as soon as it is idle.
        (last,) = agent.poll(after=2, wait=5).json()["commands"]
        assert last == {"sequence": 3, "type": "SHUTDOWN"}
        assert agent.poll(after=3).status_code == 410
        assert agent.http.post("/agent/register", json=agent.registration).status_code in (401, 410)
        client.worker_pool_client.shutdown_worker_pool_by_id(pool.id)
        agent.http.close()


def test_long_poll_is_answered_with_the_first_command() -> None:
    with local_platform(hosts=ManualHosts()) as local, local.client() as client:
        provision(client)
        agent = Agent(local, local.hosts.requests[0])  # type: ignore[attr-defined]
        agent.register()
        answers: list[httpx.Response] = []
        polling = threading.Thread(target=lambda: answers.append(agent.poll(wait=20)))
        polling.start()
        while not any(s.polls for s in local.platform.agents._sessions.values()):
            time.sleep(0.005)
        started = time.monotonic()
        add(client, submit(client), "a")
        polling.join(5)
        assert time.monotonic() - started < 2
        assert answers[0].json()["commands"][0]["type"] == "RUN_TASK"
        agent.http.close()


def test_server_stops_quickly_with_an_open_long_poll() -> None:
    with local_platform(hosts=ManualHosts()) as local, local.client() as client:
        provision(client)
        agent = Agent(local, local.hosts.requests[0])  # type: ignore[attr-defined]
        agent.register()
        polling = threading.Thread(target=lambda: agent.poll(wait=20))
        polling.start()
        while not any(s.polls for s in local.platform.agents._sessions.values()):
            time.sleep(0.005)
        started = time.monotonic()
    assert time.monotonic() - started < 3
    polling.join(5)
    assert not polling.is_alive()
    agent.http.close()


def test_agent_is_refused_with_a_wrong_token(local: RunningPlatform) -> None:
    answer = httpx.post(f"{local.url}/agent/register", json={})
    assert answer.status_code == 401
    headers = {"Authorization": "yd-agent nonsense"}
    assert httpx.get(f"{local.url}/agent/nodes/x/commands", headers=headers).status_code == 404


@pytest.mark.parametrize("changed", [False, True])
def test_refusals_have_the_statuses_and_types_of_the_settings(changed: bool) -> None:
    chosen = {
        "not_found_error_type": "MissingException",
        "invalid_request_status": 422,
        "duplicate_status": 409,
        "duplicate_error_type": "ConflictException",
        "duplicate_task_names_error_type": "DuplicateException",
        "illegal_transition_status": 409,
    }
    seen = []
    with local_platform(clock=SteppedClock(), settings=Settings(**chosen if changed else {})) as local:
        headers = {"Authorization": f"yd-key {local.key_id}:{local.key_secret}"}
        with httpx.Client(base_url=local.url, headers=headers) as http:
            group = {"name": "g", "runSpecification": {"taskTypes": ["bash"]}}
            body = {"namespace": "demo", "name": "w", "taskGroups": [group]}
            work = http.post("/work/requirements", json=body).json()
            task = {"name": "t", "taskType": "bash"}
            answers = (
                http.get("/work/requirements/ydid:workreq:0:none"),
                http.post("/work/requirements", json={"name": "w"}),
                http.post("/work/requirements", json=body),
                http.post(f"/work/taskGroups/{work['taskGroups'][0]['id']}/tasks", json=[task, task]),
                http.put(f"/work/requirements/{work['id']}/transition/CANCELLED"),
            )
            http.put(f"/work/requirements/{work['id']}/transition/CANCELLING")
            again = http.put(f"/work/requirements/{work['id']}/transition/CANCELLING")
            seen = [(answer.status_code, answer.json()["errorType"]) for answer in (*answers, again)]
    default = [
        (404, "NotFoundException"),
        (400, "InvalidRequestException"),
        (400, "InvalidRequestException"),
        (400, "ConflictException"),
        (403, "InvalidWorkRequirementStatusException"),
        (403, "InvalidWorkRequirementStatusException"),
    ]
    other = [
        (404, "MissingException"),
        (422, "InvalidRequestException"),
        (409, "ConflictException"),
        (409, "DuplicateException"),
        (409, "InvalidWorkRequirementStatusException"),
        (409, "InvalidWorkRequirementStatusException"),
    ]
    assert seen == (other if changed else default)


@pytest.mark.parametrize("newest", [False, True])
def test_list_order_follows_the_setting_unless_the_search_sorts(newest: bool) -> None:
    settings = Settings(lists_newest_first=newest, default_slice_size=2)
    with local_platform(clock=SteppedClock(), settings=settings) as local, local.client() as client:
        for name in ("a", "b", "c"):
            submit(client, name)
        search = client.work_client.get_work_requirements
        found = [work.name for work in search(WorkRequirementSearch()).list_all()]
        criteria = WorkRequirementSearch(sortDirection=SortDirection.ASCENDING)
        ascending = [work.name for work in search(criteria).list_all()]
        by_name = [work.name for work in search(WorkRequirementSearch(sortField="name")).list_all()]
    assert found == (["c", "b", "a"] if newest else ["a", "b", "c"])
    assert ascending == by_name == ["a", "b", "c"]


def test_search_is_accepted_as_json_under_its_documented_name(http: httpx.Client, client: PlatformClient) -> None:
    pool = provision(client)
    other = provision(client, "other")
    query = {
        "nodeSearch": json.dumps({"workerPoolId": pool.id, "statuses": ["RUNNING"]}),
        "sliceReference": json.dumps({"size": 1}),
    }
    # Nodes register as the clock moves, and it stands still: this test covers only the parsing of the search.
    assert http.get("/workerPools/nodes", params=query).json()["items"] == []
    found = http.get(
        "/workerPools/", params={"workerPoolSearch": json.dumps({"name": "other"}), "sliced": "true"}
    ).json()
    assert [item["id"] for item in found["items"]] == [other.id]
    first = http.get("/workerPools/", params={"sliceReference": '{"size": 1}', "sliced": "true"}).json()
    assert [item["id"] for item in first["items"]] == [pool.id]
    rest = {"sliceReference": json.dumps({"size": 1, "sliceId": first["nextSliceId"]}), "sliced": "true"}
    assert [item["id"] for item in http.get("/workerPools/", params=rest).json()["items"]] == [other.id]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("nodeSearch=x", "nodeSearch is not JSON"),
        ("nodeSearch=[]", "nodeSearch must be a JSON object"),
        ("nodeSearch=%7B%22colour%22:1%7D", "colour: no such filter in NodeSearch"),
        ("poolSearch=%7B%7D", "poolSearch: no such filter in NodeSearch"),
        ("sliceReference=%7B%22size%22:%22x%22%7D", "size must be a number"),
    ],
)
def test_search_in_json_is_refused_when_malformed(http: httpx.Client, query: str, says: str) -> None:
    answer = http.get(f"/workerPools/nodes?{query}")
    assert answer.status_code == 400
    assert says in answer.json()["message"]


def test_date_of_a_response_is_the_platforms(local: RunningPlatform, http: httpx.Client) -> None:
    local.advance(3600)

    assert http.get("/application").headers.get_list("Date") == [format_datetime(local.clock.now(), usegmt=True)]
