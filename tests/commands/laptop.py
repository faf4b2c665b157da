"""A user's machine: Ray's own `ray up` and `ray down`, each as a process that remembers nothing of the last.

Simulated hosts have no SSH, so what Ray and the provider do over SSH is left out: a head is reachable once its task
runs, takes its files, and its set-up by Ray succeeds; its tag store is never reached.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from ray.autoscaler._private import commands
from ray.autoscaler._private.providers import _clear_provider_cache
from ray.autoscaler.node_provider import NodeProvider
from ray.scripts.scripts import cli

from tests.platform_time import PlatformTime
from tests.simulation.ray_time import ShiftedTime
from tests.simulation.wire import Wire
from tests.simulation.world import cluster_config
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.commands import deliver, wait
from yellowdog_ray.errors import SshError

QUICK = "demo/local"
"""A template whose hosts boot in 2 s: few looks at a head that boots."""

_LONG_SECONDS = 30.0

LIFETIME_HOURS = 10_000.0
"""A sweep goes through months of the platform's time, which its neighbours must outlive."""


class _Time(ShiftedTime):
    """The module `time` for Ray's commands: sleeping moves the platform on."""

    def __init__(self, local: RunningPlatform) -> None:
        super().__init__(local.clock.now)
        self._local = local

    def sleep(self, seconds: float) -> None:
        self._local.advance(seconds)


class _Updater:
    """Ray's set-up of a host by SSH, which has nothing to do with the platform."""

    exitcode = 0

    def __init__(self, provider: NodeProvider, node_id: str, **_: Any) -> None:
        self._provider = provider
        self._node_id = node_id

    @property
    def cmd_runner(self) -> Any:
        """How Ray runs `ray stop` on the head under `ray down`."""
        return self._provider.get_command_runner("", self._node_id)

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


def node_type(template: str, **fields: Any) -> dict[str, Any]:
    """An entry of `available_node_types`."""
    return {"resources": {"CPU": 1}, "node_config": {"compute_requirement_template": template}, **fields}


def yaml_of(name: str, home: Path, **changes: Any) -> dict[str, Any]:
    """A user's YAML, whose SSH key is in that home."""
    types = {
        "head": node_type(QUICK, resources={"CPU": 0}, max_workers=0),
        "worker": node_type(QUICK, max_workers=10),
    }
    return cluster_config(
        name,
        home / "id_ed25519",
        cluster_lifetime_hours=LIFETIME_HOURS,
        **{"available_node_types": types, **changes},
    )


class Paused:
    """A command in another thread, which stops at one of its platform calls until it is told to go on.

    Args:
        wire: the way to the platform.
        command: the command.
        call: at its first call of this pattern, such as `POST /work/taskGroups/*/tasks`.
        applied: after the platform has served that call, instead of before it leaves.
    """

    def __init__(self, wire: Wire, command: Callable[[], Result], call: str, *, applied: bool) -> None:
        self._wire = wire
        self._call = call
        self._applied = applied
        self._stopped = threading.Event()
        self._go_on = threading.Event()
        self._results: list[Result] = []
        self._thread = threading.Thread(target=lambda: self._results.append(command()), name="the paused command")

    def __enter__(self) -> Paused:
        """Run it up to the call."""
        way = self._wire.losing_answers if self._applied else self._wire.losing
        with way(self._stop):
            self._thread.start()
            assert self._stopped.wait(_LONG_SECONDS), f"it did not come to {self._call}"
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()

    def go_on(self) -> Result:
        """Let it go on to its end."""
        self._go_on.set()
        self._thread.join(_LONG_SECONDS)
        (result,) = self._results
        return result

    def _stop(self, call: str) -> bool:
        if threading.current_thread() is self._thread and fnmatchcase(call, self._call) and not self._stopped.is_set():
            self._stopped.set()
            self._go_on.wait(_LONG_SECONDS)
        return False


def _no_ssh(*_: Any, **__: Any) -> None:
    raise SshError("there is no SSH to simulated hosts")


def prepare(monkeypatch: pytest.MonkeyPatch, local: RunningPlatform, home: Path) -> None:
    """Put Ray's commands on the platform's clock, and SSH out of the way."""
    monkeypatch.setenv("TMPDIR", str(home))  # Ray keeps completed YAMLs there
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("RAY_UP_enable_autoscaler_v2", "1")
    monkeypatch.setattr("yellowdog_ray.wiring.SystemClock", lambda: PlatformTime(local))
    monkeypatch.setattr("yellowdog_ray.commands.access.Tunnel", _no_ssh)
    monkeypatch.setattr(wait, "try_ssh", lambda target: None)
    monkeypatch.setattr(deliver, "deliver", lambda *_: None)
    monkeypatch.setattr("yellowdog_ray.commands.versions.on", lambda _: None)  # it cannot tell
    monkeypatch.setattr(commands, "time", _Time(local))
    monkeypatch.setattr(commands, "NodeUpdaterThread", _Updater)


class Laptop:
    """Where the commands for one cluster are given.

    Args:
        home: the user's home; it has an SSH key.
        name: the cluster's name.
        changes: further keys of its YAML.
    """

    def __init__(self, home: Path, name: str, **changes: Any) -> None:
        self.name = name
        self._file = home / f"{name}{'-changed' * bool(changes)}.yaml"
        config = yaml_of(name, home, **changes)
        self._file.write_text(yaml.safe_dump(config))

    def up(self) -> Result:
        """`ray up`; whatever ends it otherwise than by itself is raised."""
        return self._ray("up")

    def down(self) -> Result:
        """`ray down`."""
        return self._ray("down")

    def _ray(self, command: str) -> Result:
        _clear_provider_cache()
        return CliRunner().invoke(cli, [command, str(self._file), "-y"])


def assert_one_clear_message(result: Result, phrase: str = "") -> None:
    """Raise `AssertionError` unless a command has failed with one message, which has this phrase in it."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    messages = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(messages) == 1, result.output
    assert phrase in messages[0]
