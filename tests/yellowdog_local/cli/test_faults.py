"""`raydog local fault` and `reset`, against a platform in this process."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner
from yellowdog_client.model import ComputeRequirementTemplateUsage, RunSpecification, Task, TaskGroup, WorkRequirement

from tests.simulation.lab import BOOT_SECONDS
from tests.yellowdog_local.service.test_daemon import free_port
from yellowdog_local import faults
from yellowdog_local.cli import main as cli
from yellowdog_local.service.directory import PlatformDirectory
from yellowdog_local.testing import RunningPlatform


def call(local: RunningPlatform, path: str = "/work/tasks") -> int:
    key_id, secret = local.platform.api_key
    return httpx.get(local.url + path, headers={"Authorization": f"yd-key {key_id}:{secret}"}).status_code


def work_on(local: RunningPlatform) -> None:
    platform = local.platform
    with platform.locked():
        usage = ComputeRequirementTemplateUsage(
            templateId="demo/local", requirementNamespace="demo", requirementName="ray-pool", targetInstanceCount=2
        )
        platform.pools.provision(usage, None)
    local.advance(BOOT_SECONDS)
    with platform.locked():
        group = TaskGroup(name="group", runSpecification=RunSpecification(["bash"]), finishIfAllTasksFinished=False)
        work = platform.work.add(WorkRequirement("demo", "ray-work", [group]))
        platform.work.add_tasks(work.groups[0], [Task(name="head", taskType="bash")])


def test_fault_is_added_listed_and_removed(local: RunningPlatform, raydog: Any) -> None:
    words = ["--call", "GET /work/**", "--status", "503", "--retry-after", "2", "--nth", "2"]
    added = raydog("fault", "add", "status", *words)
    raydog("fault", "add", "lost", "--pool", "ray-*", "--notice", "--notice-seconds", "30", "--after", "5")
    assert [call(local), call(local)] == [200, 503]
    listed = raydog("fault", "list")
    as_json = json.loads(raydog("fault", "list", "--json").stdout)
    removed = raydog("fault", "clear", "fault-1")

    assert call(local) == 200
    assert added.stdout == "fault-1 is active; `raydog local fault clear fault-1` removes it\n"
    assert local.faults.rules()[0].rule == faults.Lost(pool="ray-*", notice=True, notice_seconds=30, after_seconds=5)
    assert "call=GET /work/**  status=503  retry_after_seconds=2" in listed.stdout
    assert "1 (spent)" in listed.stdout
    assert as_json[1]["rule"] == {
        "kind": "lost",
        "pool": "ray-*",
        "after_seconds": 5.0,
        "notice": True,
        "notice_seconds": 30.0,
    }
    assert removed.stdout == "fault-1 is removed; it was applied 1 times\n"
    assert raydog("fault", "clear").stdout == "all faults are removed\n"
    assert raydog("fault", "list").stdout.startswith("no faults; `raydog local fault add --help`")
    assert local.faults.rules() == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "fire"], "error: kind must be one of status, apply-then-fail"),
        (["add", "hang", "--status", "500"], "error: 'hang' has no status; it takes nth, times"),
        (["add", "hang", "--call", "work"], "is not a pattern of calls: give a method and a path"),
        (["clear", "fault-7"], "error: Fault 'fault-7' not found"),
    ],
)
def test_add_fails_with_one_sentence_for_an_invalid_rule(
    local: RunningPlatform, raydog: Any, words: list[str], says: str
) -> None:
    result = raydog("fault", *words)
    assert (result.exit_code, says in result.stderr) == (1, True), result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_add_has_an_option_for_every_field_of_every_kind(local: RunningPlatform, raydog: Any) -> None:
    needed = {"delay": ["--seconds", "1"], "listing-lag": ["--seconds", "1"]}
    for kind in faults.rules.KINDS:
        assert raydog("fault", "add", kind, *needed.get(kind, [])).exit_code == 0
    assert [one.rule.kind for one in local.faults.rules()] == list(faults.rules.KINDS)
    local.faults.clear()

    options = {parameter.name for parameter in _parameters("fault", "add")}
    fields = {name for model in faults.rules.KINDS.values() for name in model.model_fields}
    assert fields <= options


def _parameters(*words: str) -> list[Any]:
    import typer

    command: Any = typer.main.get_command(cli.app)
    for word in words:
        command = command.commands[word]
    return list(command.params)


def test_reset_deletes_all_state_and_keeps_url_and_key(local: RunningPlatform, raydog: Any) -> None:
    work_on(local)
    result = raydog("reset")

    assert (result.exit_code, result.stdout.startswith("reset: no hosts")) == (0, True)
    assert local.platform.hosts.instance_ids == []  # type: ignore[attr-defined]
    assert local.platform.store.works == {}


@pytest.mark.parametrize(
    "words", [["reset"], ["calls"], ["top"], ["fault", "add"], ["fault", "list"], ["fault", "clear"]]
)
def test_help_has_an_example_for_every_command(words: list[str]) -> None:
    result = CliRunner().invoke(cli.app, [*words, "--help"])
    assert (result.exit_code, f"raydog local {' '.join(words)}" in result.stdout) == (0, True)


def test_simulated_platform_starts_and_stops(raydog: Any, place: PlatformDirectory) -> None:
    try:
        started = raydog("start", "--hosts", "simulated", "--port", str(free_port()))
        state = place.running()
        status = json.loads(raydog("status", "--json").stdout)
    finally:
        stopped = raydog("stop")

    assert started.exit_code == 0, started.output
    assert "simulated: they run no processes" in started.stdout
    assert "SSH key" not in started.stdout
    assert state is not None
    assert (state.hosts, state.url.startswith("http://127.0.0.1:")) == ("simulated", True)
    assert (status["running"], status["hosts"]) == (True, [])
    assert "stopped; nothing is left" in stopped.stdout
    assert not place.ssh_key.exists()
