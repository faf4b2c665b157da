"""The overview of a platform: what is counted, what is left out, and what is said when it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from yellowdog_local.directory import ApiKey, LocalPlatformError
from yellowdog_local.overview import OverviewReader

ANSWERS: dict[str, list[Any]] = {
    "/compute/instances": [
        {"items": [{"id": {"instanceId": "i-1"}, "status": "RUNNING", "privateIpAddress": "10.0.0.2"}]},
    ],
    "/workerPools/nodes": [
        {
            "items": [{"id": "n-1", "status": "RUNNING", "workerPoolId": "p-1", "details": {"instanceId": "i-1"}}],
            "nextSliceId": "more",
        },
        {"items": [{"id": "n-2", "status": "LOST", "workerPoolId": "p-1", "details": {"instanceId": "i-2"}}]},
    ],
    "/workerPools/": [
        {
            "items": [
                {"id": "p-1", "name": "pool", "status": "RUNNING"},
                {"id": "p-0", "name": "old", "status": "TERMINATED"},
            ]
        }
    ],
    "/work/requirements": [{"items": [{"id": "w-1"}]}],
    "/work/requirements/w-1": [
        {"taskGroups": [{"taskSummary": {"statusCounts": {"EXECUTING": 1, "READY": 0}}}, {"taskSummary": None}]}
    ],
    "/work/tasks": [{"items": [{"id": "t-1", "name": "head", "nodeId": "n-1"}]}],
}


class Answer:
    def __init__(self, status: int, body: Any) -> None:
        self.status_code = status
        self.text = str(body)
        self._body = body

    def json(self) -> Any:
        return self._body


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[OverviewReader]:
    made = OverviewReader("http://platform", ApiKey("id", "secret"))
    waiting = {path: list(answers) for path, answers in ANSWERS.items()}

    def get(url: str, **_options: Any) -> Answer:
        return Answer(200, waiting[url.removeprefix("http://platform")].pop(0))

    monkeypatch.setattr(made._session, "get", get)
    yield made
    assert not [path for path, answers in waiting.items() if answers]


def test_hosts_pools_nodes_and_tasks_are_counted(reader: OverviewReader) -> None:
    seen = reader.read()

    assert seen.hosts == [{"instance": "i-1", "status": "RUNNING", "address": "10.0.0.2"}]
    assert seen.pools == [{"name": "pool", "status": "RUNNING", "nodes": 1}]
    assert seen.nodes == {"LOST": 1, "RUNNING": 1}
    assert seen.tasks == {"EXECUTING": 1}
    assert seen.running == [{"id": "t-1", "name": "head", "host": "i-1"}]


def test_a_platform_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = OverviewReader("http://platform", ApiKey("id", "secret"))

    def get(*_words: Any, **_options: Any) -> Answer:
        raise requests.ConnectTimeout

    monkeypatch.setattr(made._session, "get", get)
    with pytest.raises(LocalPlatformError, match=r"http://platform does not answer \(ConnectTimeout\)"):
        made.read()


def test_a_platform_that_refuses_is_told_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = OverviewReader("http://platform", ApiKey("id", "secret"))
    monkeypatch.setattr(made._session, "get", lambda *_words, **_options: Answer(401, "no"))

    with pytest.raises(LocalPlatformError, match="refused GET /compute/instances: 401 no") as caught:
        made.read()
    assert "secret" not in str(caught.value)
