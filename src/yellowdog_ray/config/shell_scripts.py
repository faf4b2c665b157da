"""The shell scripts of a YAML: their syntax, read by this machine's bash, and the versions that they state. Runs none.

YellowDog's task type `bash` runs task scripts in bash whatever their first line names. cloud-init obeys that line.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from itertools import chain, islice
from pathlib import Path
from typing import Any

from yellowdog_ray.config.first_lines import first_line_that_cannot_run
from yellowdog_ray.config.local_files import files_of
from yellowdog_ray.config.script_texts import script_mistake
from yellowdog_ray.config.shell_lines import lines_without_comments, lines_without_messages
from yellowdog_ray.config.shell_syntax import dash_mistake, syntax_mistake
from yellowdog_ray.config.userdata import first_line_mistake, first_programs, has_format, stripped
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.ports import GCS_PORT
from yellowdog_ray.node.scripts import STARTS_RAY

_TASK_SCRIPTS = ("ray_head_node_task_script", "ray_worker_node_task_script")
USERDATA = ("userdata", "extra_userdata")
"""The keys of a `node_config` that hold user data."""

_SHELLS = ("bash", "sh", "dash")
_STARTS_RAY = re.compile(r"\bray[\s\"']+start\b|ray\.scripts|ray[_-]start|start[_-]ray", re.IGNORECASE)
_HEAD_PORT = re.compile(r"--port[= ][\"']?(\d*)")
_ADDRESS = re.compile(r"--address[= ][\"']?[^\s\"']{1,300}:(\d+)")
_MOST_FILES = 1_000  # of a directory, which may be a whole home
_LONGEST_SHEBANG = 256
_RAY = re.compile(r"\bray(?:\[[\w,-]*\])?==(\d+\.\d+\.\d+)|\bRAY_VERSION=[\"'{$:\w-]*?(\d{1,4}\.\d{1,4}\.\d{1,4})")
_PYTHON = re.compile(r"\bPYTHON=[\"'{$:\w-]*?python(3\.\d+)\b|\bpython(3\.\d+)[\"']? -m venv\b|--python[= ](3\.\d+)")


def check_scripts_of(section: Mapping[str, Any], keys: Sequence[str], source: str, path: str) -> None:
    """Refuse a script that bash, or cloud-init, cannot run. `userdata_checks` has the further checks of user data.

    Args:
        section: the `provider` section or a `node_config`, without `file:` values.
        keys: its keys that hold scripts.
        source: the YAML's name, for messages.
        path: the section's place in the YAML, for messages.

    Raises:
        ConfigError: a text is no script, a task script's first line names another interpreter, or bash cannot read a
            script.
    """
    for key in keys:
        script = section.get(key)
        if isinstance(script, str) and (mistake := _mistake(script, key)):
            raise ConfigError(f"{source}: {path}.{key}: {mistake}")


def _mistake(script: str, key: str) -> str | None:
    is_task = key in _TASK_SCRIPTS
    mistake = script_mistake(script, is_userdata=not is_task)
    mistake = mistake or first_line_that_cannot_run(script, is_userdata=not is_task)
    if mistake:
        return mistake
    interpreter = _interpreter(script if is_task else stripped(script))
    if is_task and interpreter and interpreter not in _SHELLS:
        return (
            f"its first line names `{interpreter}`, and YellowDog's task type `bash` runs it in bash: write a script "
            f"for bash that starts your `{interpreter}` program"
        )
    if interpreter == "dash" and not is_task and (mistake := dash_mistake(script)):
        return f"dash cannot read {mistake}: correct the script"
    return syntax_mistake(script) if is_task or interpreter in _SHELLS or _runs_alone(script, key) else None


def _runs_alone(script: str, key: str) -> bool:
    """Whether bash runs user data without a first line, whatever the other key has."""
    return key == "userdata" and not has_format(stripped(script)) and first_line_mistake(script) is None


def starts_no_ray(provider: Mapping[str, Any], updaters: Mapping[str, str], source: str) -> list[str]:
    """A warning for each task script with nothing that could start Ray. It may do so through another program.

    Args:
        provider: the completed `provider` section.
        updaters: what a node's task leaves to the updater (`Start.updater`), by the kind of node.
        source: the YAML's name, for messages.
    """
    scripts = {kind: f"ray_{kind}_node_task_script" for kind, updater in updaters.items() if updater != STARTS_RAY}
    return [
        f"{source}: provider.{key} does not contain `ray start`: add it, if no other program of the script starts Ray. "
        f"Without Ray, {'`ray up` fails' if kind == 'head' else 'no worker joins'}"
        for kind, key in scripts.items()
        if not _STARTS_RAY.search(provider[key])
    ]


def version_warnings(config: Mapping[str, Any], source: str) -> list[str]:
    """A warning for each script or list of commands that installs other versions than this machine's.

    Args:
        config: the completed YAML.
        source: the YAML's name, for messages.
    """
    ray, python = metadata.version("ray"), ".".join(platform.python_version_tuple()[:2])
    warnings = []
    for place, text in _set_up_texts(config):
        stated_ray, stated_python = stated_versions(text)
        differing = [f"Ray {version}" for version in sorted(stated_ray - {ray})]
        differing += [f"Python {version}" for version in sorted(stated_python - {python})]
        if differing:
            warnings.append(
                f"{source}: {place} installs {' and '.join(differing)}, and this machine has Ray {ray} and Python "
                f"{python}: Ray requires the same versions. Change the script, or install its versions here"
            )
    return warnings


def _set_up_texts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Place and text of each set-up of nodes. Ray has put `setup_commands` before those of head and workers."""
    for name, node_type in config["available_node_types"].items():
        for key in USERDATA:
            if text := (node_type.get("node_config") or {}).get(key):
                yield f"available_node_types.{name}.node_config.{key}", text
    shared = [str(command) for command in config.get("setup_commands") or ()]
    yield "setup_commands", "\n".join(shared)
    for key in ("head_setup_commands", "worker_setup_commands"):
        commands = (str(command) for command in config.get(key) or ())
        yield key, "\n".join(command for command in commands if command not in shared)


def port_warnings(head: str, worker: str, source: str) -> list[str]:
    """A warning if the workers' task script joins at another port than that of the head's task script.

    Args:
        head: the head's task script.
        worker: the workers'.
        source: the YAML's name, for messages.
    """
    head, worker = (script.replace("\\\n", " ") for script in (head, worker))
    head_lines, worker_lines = lines_without_comments(head), lines_without_comments(worker)
    starts = [line for line in head_lines if _STARTS_RAY.search(line) and "--head" in line]
    ports = {found[1] for line in starts if (found := _HEAD_PORT.search(line))} or {str(GCS_PORT)}
    joined = {found[1] for line in worker_lines if _STARTS_RAY.search(line) and (found := _ADDRESS.search(line))}
    if not starts or not joined or "" in ports or ports & joined:
        return []
    warning = (
        f"{source}: provider.ray_worker_node_task_script joins at port {', '.join(sorted(joined))}, and Ray on the "
        f"head starts on port {', '.join(sorted(ports))}: make the two ports equal, or no worker joins"
    )
    return [warning]


def line_end_warnings(files: Mapping[str, str], source: str, key: str) -> list[str]:
    """A warning for each shell script with the line ends of Windows among the files that Ray copies.

    `file:` values need none: they are read as text.

    Args:
        files: absolute local paths by remote path; scripts in directories are known by their names.
        source: the YAML's name, for messages.
        key: the key that names the files, for messages.
    """
    found = chain.from_iterable(map(_scripts_at, map(Path, files.values())))
    return [
        f"{source}: {key}: {file} has the line ends of Windows, which Linux cannot run: run `sed -i 's/\\r$//' {file}`"
        for file in found
        if _has_windows_ends(file)
    ]


def _scripts_at(place: Path) -> Iterable[Path]:
    if not place.is_dir():
        return [place]
    return (file for file in islice(files_of(place), _MOST_FILES) if file.suffix == ".sh")


def _has_windows_ends(file: Path) -> bool:
    try:
        with file.open("rb") as text:
            first = text.readline(_LONGEST_SHEBANG)
    except OSError:
        return False
    return first.startswith(b"#!") and first.endswith(b"\r\n")


def stated_versions(text: str) -> tuple[set[str], set[str]]:
    """The versions of Ray, and the minor versions of Python, that a script installs, as far as it states them."""
    lines = lines_without_messages(text)
    ray, python = ({found for groups in each.findall(lines) for found in groups if found} for each in (_RAY, _PYTHON))
    return ray, python


def _interpreter(script: str) -> str:
    """The program that the first line names; empty without such a line."""
    programs = first_programs(script)
    if programs[:1] == ["env"] and len(programs) > 1:
        return programs[1]
    return programs[0] if programs else ""
