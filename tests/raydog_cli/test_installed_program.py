"""Each command for clusters, run as the installed program in a process of its own against a local platform."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from yellowdog_local.testing import RunningPlatform

PROGRAM = str(Path(sys.executable).with_name("raydog"))
DEMO = ("demo", "--namespace", "demo")
OLD = 700.0  # seconds: `raydog gc` leaves younger leftovers alone
MOST_STEPS = 300


def run_while_time_passes(local: RunningPlatform, *arguments: str) -> tuple[int, str]:
    """The program's exit code and output; the platform's time passes until it ends."""
    environment = {**os.environ, "COLUMNS": "200"}
    command = [PROGRAM, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as process:
        for _ in range(MOST_STEPS):
            try:
                output, _ = process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                local.advance(1)
            else:
                return process.returncode, output
        process.kill()
    raise TimeoutError(f"{command} has not ended")


@pytest.mark.parametrize(
    ("command", "options", "phrase"),
    [
        ("list", (), "head: 1 running"),
        ("status", DEMO, "cluster demo in namespace demo: up"),
        ("why", DEMO, "cluster demo in namespace demo: up"),
        ("events", DEMO, "its task ended: failed"),
        ("logs", DEMO, "PROCESS_NON_ZERO_EXIT"),
        ("doctor", ("--json",), '"section": "YellowDog"'),
        ("down", (*DEMO, "--yes"), "nothing is left of cluster 'demo'"),
    ],
)
@pytest.mark.usefixtures("with_failed_worker")
def test_installed_program_runs_each_command(local, command, options, phrase):
    code, output = run_while_time_passes(local, command, *options)

    assert phrase in output
    assert code == 0


def test_installed_program_removes_leftovers(local, with_workers):
    cluster = with_workers("demo", 1, cluster_lifetime_hours=24)
    cluster.platform.abort_task(cluster.snapshot.head.task_id)
    local.advance(OLD)

    code, output = run_while_time_passes(local, "gc", "--namespace", "demo", "--yes")

    assert "removed: nothing is left of 1 cluster(s)" in output
    assert code == 0
