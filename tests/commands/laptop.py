"""A user's machine: Ray's own `ray up` and `ray down`, each as a process that remembers nothing of the last.

Simulated hosts have no SSH, so what Ray and the provider do over SSH is left out: a head is reachable once its task
runs, takes its files, and its set-up by Ray succeeds; its tag store is never reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from ray.autoscaler._private import commands, providers
from ray.autoscaler.node_provider import NodeProvider
from ray.scripts.scripts import cli

from tests.simulation.config import QUICK, cluster_config, node_type
from tests.simulation.processes import Kill, Killed
from tests.simulation.ray_time import ShiftedTime
from tests.simulation.world import World

LIFETIME_HOURS = 10_000.0
"""A sweep takes months of the platform's time, which its neighbours must outlive."""


class _Time(ShiftedTime):
    """The module `time` for Ray's commands: sleeping lets simulated time pass."""

    def __init__(self, world: World) -> None:
        super().__init__(world.lab.clock.now)
        self.sleep = world.pass_time


class _Updater:
    """Ray's set-up of a host by SSH, which has nothing to do with the platform."""

    exitcode = 0

    def __init__(self, provider: NodeProvider, node_id: str, **_: Any) -> None:
        self._provider = provider
        self._node_id = node_id

    @property
    def cmd_runner(self) -> Any:
        """The runner with which Ray runs `ray stop` on the head under `ray down`."""
        return self._provider.get_command_runner("", self._node_id)

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


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


def prepare(world: World) -> None:
    """Put Ray's own commands into a world."""
    patch = world.monkeypatch
    patch.setenv("TMPDIR", str(world.home))  # Ray keeps completed YAMLs there
    patch.setattr("tempfile.tempdir", None)
    patch.setattr(commands, "time", _Time(world))
    patch.setattr(commands, "NodeUpdaterThread", _Updater)


class Laptop:
    """Where the commands for one cluster are given.

    Args:
        world: the world; its user has an SSH key.
        name: the cluster's name.
        changes: further keys of its YAML.
    """

    def __init__(self, world: World, name: str, **changes: Any) -> None:
        self.yaml = yaml_of(name, world.home, **changes)
        self._world = world
        self._file = world.home / f"{name}{'-changed' * bool(changes)}.yaml"
        self._file.write_text(yaml.safe_dump(self.yaml))

    @property
    def file(self) -> Path:
        """The YAML file."""
        return self._file

    def up(self, kill: Kill | None = None, options: Sequence[str] = ()) -> Result | None:
        """`ray up`; None if it was killed."""
        return self._ray("up", kill, options)

    def down(self, kill: Kill | None = None) -> Result | None:
        """`ray down`; None if it was killed."""
        return self._ray("down", kill)

    def _ray(self, command: str, kill: Kill | None, options: Sequence[str] = ()) -> Result | None:
        process = self._world.laptop(f"ray {command}")
        if kill is not None:
            process.condemn(kill)
        result = None
        with self._world.processes.inside(process), _no_cached_provider(), suppress(Killed):
            result = CliRunner().invoke(cli, [command, str(self._file), "-y", *options])
        assert kill is None or process.struck, f"`ray {command}` ended before it was killed {kill}"
        return result


@contextmanager
def _no_cached_provider() -> Iterator[None]:
    """Let a command make its own node provider, while another command may be interrupted in the middle."""
    cache = providers._provider_instances
    before = dict(cache)
    cache.clear()
    try:
        yield
    finally:
        cache.clear()
        cache.update(before)


def assert_one_clear_message(result: Result, phrase: str = "") -> None:
    """Raise `AssertionError` unless a command has failed with one message, which contains this phrase."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    messages = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(messages) == 1, result.output
    assert phrase in messages[0]
