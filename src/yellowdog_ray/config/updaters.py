"""Ray's updaters, which set up nodes over SSH: whether a cluster needs them, and how Ray starts on its nodes. No I/O.

By default a node's task starts Ray. With an updater, the task first waits for a file that the updater's last command
creates. Where the user's own start commands start Ray, the task only holds the node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yellowdog_ray.config.mistakes import dotted
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.scripts import (
    SET_UP_FILE,
    SETS_UP,
    STARTS_RAY,
    in_task_environment,
    wait_for_ray_command,
    wait_for_raylet_command,
)

_ON_EVERY_NODE = ("file_mounts", "initialization_commands", "setup_commands")
_ON_WORKERS = ("cluster_synced_files", "worker_setup_commands", "worker_start_ray_commands")
_ON_WORKERS_OF_A_TYPE = ("initialization_commands", "worker_setup_commands")
_BEFORE_THE_HEADS_RAY = ("initialization_commands", "setup_commands", "head_setup_commands")

_RAY_START = re.compile(r"^[^#\n]*\bray\s+start\b", re.MULTILINE)


@dataclass(frozen=True)
class Start:
    """How Ray starts on a node with an updater.

    Attributes:
        commands: the updater's last commands: Ray's `head_start_ray_commands` or `worker_start_ray_commands`.
        updater: what the node's task leaves to the updater: `SETS_UP`, `STARTS_RAY` or nothing.
    """

    commands: list[str]
    updater: str = ""


def needs_updaters(config: Mapping[str, Any]) -> bool:
    """Whether the YAML has keys for workers that only Ray's updaters can honour."""
    return any(config.get(key) for key in _ON_EVERY_NODE) or bool(for_workers_only(config))


def for_workers_only(config: Mapping[str, Any]) -> list[str]:
    """The keys of the YAML that only an updater of workers can honour, and that do not concern the head."""
    types = config["available_node_types"]
    return [key for key in _ON_WORKERS if config.get(key)] + [
        dotted(("available_node_types", name, key))
        for name, node_type in types.items()
        for key in _ON_WORKERS_OF_A_TYPE
        if node_type.get(key)
    ]


def head_start(config: Mapping[str, Any], script: str | None, source: str) -> Start:
    """How Ray starts on the head.

    Args:
        config: the YAML as Ray has prepared it.
        script: the user's own task script.
        source: the YAML's name, for messages.

    Raises:
        ConfigError: Ray would start twice.
    """
    given = list(config.get("head_start_ray_commands") or [])
    if _starts_ray(given, script, source, "head"):
        return Start(_in_environment(given, script), STARTS_RAY)
    sets_up = any(config.get(key) for key in _BEFORE_THE_HEADS_RAY)
    return Start([*given, wait_for_ray_command(default_script=not script)], SETS_UP if sets_up else "")


def worker_start(config: Mapping[str, Any], script: str | None, source: str) -> Start:
    """How Ray starts on workers that have updaters; as `head_start`."""
    given = list(config.get("worker_start_ray_commands") or [])
    if _starts_ray(given, script, source, "worker"):
        return Start(_in_environment(given, script), STARTS_RAY)
    return Start([*given, wait_for_raylet_command()], SETS_UP)


def scripts_that_do_not_wait(config: Mapping[str, Any], updaters: Mapping[str, str], source: str) -> list[str]:
    """A warning for each of the user's task scripts that starts Ray before the set-up over SSH is complete.

    Args:
        config: the completed YAML.
        updaters: what a node's task leaves to the updater (`Start.updater`), by the kind of node.
        source: the YAML's name, for messages.
    """
    keys = {
        "head": [key for key in _BEFORE_THE_HEADS_RAY if config.get(key)],
        "worker": [key for key in _ON_EVERY_NODE if config.get(key)]
        + [key for key in for_workers_only(config) if key != "worker_start_ray_commands"],  # the completed YAML has it
    }
    scripts = {kind: f"ray_{kind}_node_task_script" for kind, updater in updaters.items() if updater == SETS_UP}
    return [
        f"{source}: provider.{script} does not wait for the set-up over SSH ({', '.join(keys[kind])}), so the first "
        f"tasks may start before it is complete. Wait for ~/{SET_UP_FILE} before `ray start` (docs/task-scripts.md), "
        "or remove the script, because the default one waits"
        for kind, script in scripts.items()
        if SET_UP_FILE not in config["provider"][script]
    ]


def _starts_ray(commands: Sequence[str], script: str | None, source: str, kind: str) -> bool:
    if not any(_RAY_START.search(command) for command in commands):
        return False
    if script and _RAY_START.search(script):
        raise ConfigError(
            f"{source}: {kind}_start_ray_commands and provider.ray_{kind}_node_task_script both start Ray on one node: "
            "remove `ray start` from one of them"
        )
    return True


def _in_environment(commands: Sequence[str], script: str | None) -> list[str]:
    """The user's commands with the environment of the task, which only the default scripts save."""
    return list(commands) if script else [in_task_environment(command) for command in commands]
