"""`ray exec --stop`: the line that runs on the head, with Ray's own command."""

import inspect
from types import SimpleNamespace

import click
import pytest
import yaml
from ray.autoscaler._private import commands
from ray.scripts.scripts import exec as ray_exec

from yellowdog_ray.commands.exec_stop import USELESS, ends_well


class Runner:
    """Notes the lines that it would run."""

    def __init__(self) -> None:
        self.ran: list[str | None] = []

    def run(self, cmd: str | None = None, **_: object) -> None:
        self.ran.append(cmd)


@pytest.fixture
def sent(monkeypatch, tmp_path):
    """Runs `exec_cluster` of Ray with these options. Returns the line for the head."""

    def run(stop: bool, **options: bool) -> str | None:
        runner = Runner()

        def make(provider: object, node_id: str, **_: object) -> SimpleNamespace:
            return SimpleNamespace(cmd_runner=ends_well(runner))

        config = {"provider": {"type": "external"}, "auth": {}, "cluster_name": "demo", "file_mounts": {}}
        monkeypatch.setattr(commands, "_bootstrap_config", lambda *_, **__: config)
        monkeypatch.setattr(commands, "_get_running_head_node", lambda *_, **__: "head-1")
        monkeypatch.setattr(commands, "_get_node_provider", lambda *_: object())
        monkeypatch.setattr(commands, "NodeUpdaterThread", lambda **given: make(given["provider"], given["node_id"]))
        (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(config))
        with click.Context(ray_exec, info_name="exec") as context:
            context.params["stop"] = stop
            commands.exec_cluster(str(tmp_path / "cluster.yaml"), cmd="python job.py", stop=stop, **options)
        (line,) = runner.ran
        return line

    return run


def test_stop_ends_after_ray_stop(sent):
    assert sent(stop=True) == "python job.py; ray stop"


@pytest.mark.parametrize("terminal", ["tmux", "screen"])
def test_stop_ends_after_ray_stop_in_a_terminal_of_its_own(sent, terminal):
    line = sent(stop=True, **{terminal: True})

    assert "python job.py; ray stop; exec bash" in line


def test_command_without_stop_is_unchanged(sent):
    assert sent(stop=False) == "python job.py"


def test_useless_commands_are_those_of_ray():
    source = inspect.getsource(commands.exec_cluster)

    for command in USELESS.removeprefix("; ").split("; "):
        assert f'"{command}"' in source
