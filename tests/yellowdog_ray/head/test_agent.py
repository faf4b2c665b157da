"""The keeper of an agent, mostly as a program, with a fake agent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.yellowdog_ray.head.process_groups import end_group
from yellowdog_ray.head.agent import MODULE, Keeper
from yellowdog_ray.head.events import Events
from yellowdog_ray.head.processes import Command
from yellowdog_ray.head.restarts import CRASH_LOOP
from yellowdog_ray.node import variables

AGENT = """\
#!/bin/bash
echo "$$ $PPID $RAY_RAYLET_PID" >>"$HOME/started"
exec cat
"""

RAYLET = f"""\
import os, subprocess, sys
os.environ["{variables.RAYLET_PID}"] = str(os.getpid())
subprocess.run(sys.argv[1:], check=False)
"""


class Agent:
    """A keeper and its agent, with this process or another program in the place of the raylet."""

    def __init__(self, home: Path, below: str | None = None, supervisor: int | None = None) -> None:
        self.home = home
        (home / "agent.py").write_text(AGENT)
        (home / "agent.py").chmod(0o755)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home)}
        events = {variables.HEAD_EVENTS: str(home / "restarts"), variables.RAYLET_PID: str(os.getpid())}
        if supervisor is not None:
            events[variables.SUPERVISOR] = str(supervisor)
        raylet = [sys.executable, "-c", below] if below else []
        self.keeper = subprocess.Popen(
            [*raylet, sys.executable, "-m", MODULE, str(home / "agent.py")],
            env=environment | events,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def starts(self) -> list[list[int]]:
        """Process id, parent and declared parent of the agent at each start."""
        file = self.home / "started"
        return [[int(word) for word in line.split()] for line in file.read_text().splitlines()] if file.exists() else []

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def agent(tmp_path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    agent.until(agent.starts)
    try:
        yield agent
    finally:
        end_group(agent.keeper)


def test_killed_agent_restarts_below_its_keeper(agent):
    os.kill(agent.starts()[0][0], signal.SIGKILL)
    agent.until(lambda: len(agent.starts()) == 2)

    assert [start[1:] for start in agent.starts()] == [[agent.keeper.pid, agent.keeper.pid]] * 2


def test_restart_is_recorded(agent):
    events = Events(agent.home / "restarts")
    os.kill(agent.starts()[0][0], signal.SIGKILL)
    restarts = []
    agent.until(lambda: restarts.extend(events.new()) or restarts)

    assert [(restart.kind, restart.reason, restart.count) for restart in restarts] == [("dashboard agent", "killed", 1)]


def test_supervisor_receives_a_signal_at_a_restart(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as supervisor:  # the signal ends it
        agent = Agent(tmp_path, supervisor=supervisor.pid)
        try:
            agent.until(agent.starts)
            os.kill(agent.starts()[0][0], signal.SIGKILL)

            assert supervisor.wait(10) == -signal.SIGUSR1
        finally:
            supervisor.kill()
            end_group(agent.keeper)


@pytest.mark.parametrize(
    ("end", "code", "starts"),
    [
        ("exit 0", 0, 1),
        ("kill -TERM $$", 128 + signal.SIGTERM, 1),
        ("exit 3", 3, CRASH_LOOP),
        ("kill -KILL $$", 128 + signal.SIGKILL, CRASH_LOOP),
    ],
)
def test_keeper_ends_with_the_code_of_its_agent_after_a_graceful_end_or_a_crash_loop(
    tmp_path, monkeypatch, end, code, starts
):
    back_offs = iter(range(CRASH_LOOP))
    monkeypatch.setattr(time, "sleep", lambda _: next(back_offs))
    started = tmp_path / "started"
    command = Command(["/bin/bash", "-c", f"echo >>'{started}'; {end}"], {})

    assert Keeper(command, Events(tmp_path / "restarts"), None).run() == code
    assert len(started.read_text()) == starts


def test_agent_ends_with_the_input_of_the_raylet(agent):
    assert agent.keeper.stdin is not None
    agent.keeper.stdin.close()

    assert agent.keeper.wait(10) == 0
    assert len(agent.starts()) == 1


def test_agent_ends_with_the_raylet(tmp_path):
    raylet = Agent(tmp_path, below=RAYLET)
    raylet.until(raylet.starts)
    ((agent, keeper, declared),) = raylet.starts()
    assert keeper == declared != raylet.keeper.pid

    raylet.keeper.kill()
    raylet.keeper.wait(10)
    raylet.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (agent, keeper)))
    assert raylet.keeper.stdin is not None
    raylet.keeper.stdin.close()


def test_agent_ends_with_its_keeper(agent):
    agent.keeper.terminate()

    assert agent.keeper.wait(10) == 0
    agent.until(lambda: not Path(f"/proc/{agent.starts()[0][0]}").exists())
