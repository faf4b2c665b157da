"""`raydog local calls` and `raydog local top`, against a platform in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.yellowdog_local.cli.test_faults import call, work_on
from yellowdog_local.cli import calls as cli_calls
from yellowdog_local.testing import RunningPlatform


def test_calls_shows_counts_per_route(local: RunningPlatform, raydog: Any) -> None:
    assert raydog("calls").stdout == "no calls yet\n"
    for _ in range(3):
        call(local)
    table = raydog("calls")
    (route,) = json.loads(raydog("calls", "--json").stdout)

    (row,) = [line for line in table.stdout.splitlines() if "GET /work/tasks" in line]
    assert row.split("│")[2].strip() == "3"
    assert (route["route"], route["count"], route["failed"]) == ("/work/tasks", 3, 0)


def test_calls_follow_prints_each_new_call(
    local: RunningPlatform, raydog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(local)
    rounds = iter([lambda: call(local, "/namespaces"), lambda: call(local, "/application/")])

    def sleep(_seconds: float) -> None:
        step = next(rounds, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(cli_calls.time, "sleep", sleep)
    followed = raydog("calls", "--follow")
    assert followed.exit_code == 0
    assert [line.split("python  ")[-1].strip() for line in followed.stdout.splitlines()] == [
        "GET /namespaces",
        "GET /application/",
    ]
    assert "  200  " in followed.stdout


def test_top_shows_pools_nodes_and_work(local: RunningPlatform, raydog: Any) -> None:
    work_on(local)
    picture = raydog("top", "--once")

    assert picture.exit_code == 0
    for words in ("2 hosts", "0 active faults", "ray-pool", "Platform nodes: 2 RUNNING", "head", "1 EXECUTING"):
        assert words in picture.stdout


def test_top_counts_calls_per_second(local: RunningPlatform, raydog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[float | None] = []
    original = cli_calls.picture

    def draw(seen: Any, rate: float | None) -> Any:
        pictures.append(rate)
        return original(seen, rate)

    def sleep(_seconds: float) -> None:
        if len(pictures) > 1:
            raise KeyboardInterrupt
        call(local)

    monkeypatch.setattr(cli_calls, "picture", draw)
    monkeypatch.setattr(cli_calls.time, "sleep", sleep)
    assert raydog("top").exit_code == 0
    assert pictures[0] is None
    assert (pictures[1] or 0) > 0
