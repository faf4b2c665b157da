"""The watch over the SDK: lost values of answers, successful calls, and calls without a test."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.common.server_sent_events import DelegatedSubscriptionEventListener

from tests.contract import watched_sdk
from tests.contract.gate import ContractGate
from tests.contract.test_sdk import submit


@pytest.mark.parametrize(
    ("sent", "kept", "says"),
    [
        ({"a": 1, "b": None}, {"a": 1.0}, []),
        ({"a": {"b": "MOON"}}, {"a": {"b": None}}, [".a.b: sent 'MOON', the SDK made it None"]),
        ({"items": [{"unknown": 1}]}, {"items": [{}]}, [".items[0].unknown: sent 1, the SDK made it None"]),
        (["tin", "gold"], ["gold", "tin"], []),
        (["tin", "gold"], ["tin", "tin"], ["[0]: sent 'gold', the SDK made it 'tin'"]),
        ([1, 2], [2, 1], ["[0]: sent 1, the SDK made it 2", "[1]: sent 2, the SDK made it 1"]),
        ([1, 2], [1], ["the answer: sent [1, 2], the SDK made it [1]"]),
    ],
)
def test_unreadable_answer_is_named(sent: Any, kept: Any, says: list[str]) -> None:
    assert list(watched_sdk.lost(sent, kept)) == says


def test_call_counts_only_after_success(client: PlatformClient, monkeypatch: pytest.MonkeyPatch) -> None:
    called: set[str] = set()
    monkeypatch.setattr(watched_sdk, "called", called)
    with pytest.raises(Exception, match="404"):
        client.work_client.get_task_by_id("ydid:task:0:none:1:1")
    assert called == set()
    submit(client)
    assert called == {"Work.add_work_requirement"}


@pytest.mark.parametrize(("whole", "failed"), [(True, True), (False, False)])
def test_suite_fails_for_a_call_without_a_test(monkeypatch: pytest.MonkeyPatch, whole: bool, failed: bool) -> None:
    monkeypatch.setattr(watched_sdk, "called", watched_sdk.covered() - {"Work.search_tasks"})
    gate, session = ContractGate(), SimpleNamespace(config=SimpleNamespace(), exitstatus=0)
    gate.pytest_testnodedown(SimpleNamespace(workeroutput={"contract_whole": whole, "contract_called": []}))
    gate.pytest_sessionfinish(session, 0)  # type: ignore[arg-type]
    assert (gate.missing == ["Work.search_tasks"], session.exitstatus == 1) == (failed, failed)


def test_sdk_event_reader_ends_with_its_stream(client: PlatformClient) -> None:
    work = submit(client)
    before = set(threading.enumerate())
    client.work_client.add_work_requirement_listener(work, DelegatedSubscriptionEventListener(on_update=lambda _: None))
    readers = set(threading.enumerate()) - before
    client.work_client.cancel_work_requirement_by_id(work.id)
    for reader in readers:
        reader.join(5)
    assert readers
    assert not any(reader.is_alive() for reader in readers)
