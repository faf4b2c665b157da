"""Mistakes in a cluster's YAML: the place, the wrong value, and what the message must say."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Place = tuple[str, ...]

WORKER: Place = ("available_node_types", "worker")


@dataclass(frozen=True, eq=False)
class YamlMistake:
    place: Place
    value: object
    phrases: tuple[str, ...]
    others: dict[Place, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{'.'.join(self.place)}: {repr(self.value)[:20]}"

    def made_in(self, config: dict[str, Any]) -> dict[str, Any]:
        """The YAML with the mistake."""
        result = deepcopy(config)
        for place, value in {**self.others, self.place: self.value}.items():
            section = result
            for key in place[:-1]:
                section = section.setdefault(key, {})
            section[place[-1]] = value
        return result


def _mistake(*place: str, value: object, says: str, others: dict[Place, object] | None = None) -> YamlMistake:
    return YamlMistake(place, value, (".".join(place), says), others or {})


_WHOLE = "give a whole number of 0 or above"

IN_RAYS_KEYS = [
    *(_mistake("max_workers", value=value, says=_WHOLE) for value in ("2", -1, 1.5, True, None)),
    _mistake("max_workers", value=10**400, says="give a number of at most 1,000,000,000"),
    *(_mistake(*WORKER, "min_workers", value=value, says="give a whole number") for value in (1.5, "1", True)),
    _mistake(*WORKER, "min_workers", value=1.0, says="give a whole number without a point"),
    _mistake(*WORKER, "max_workers", value=-1, says="give a number of 0 or above"),
    _mistake(*WORKER, "max_workers", value=10**400, says="give a number of at most"),
    _mistake(*WORKER, "max_worker", value=1, says="did you mean `max_workers`?"),
    _mistake(*WORKER, "idle_timeout_s", value="60", says="give a number"),
    _mistake(*WORKER, "labels", value={"zone": 1}, says="zone is 1: give text"),
    _mistake(*WORKER, "labels", value=[], says="give a mapping of text to text"),
    *(
        _mistake(*WORKER, "labels", value={key: "x"}, says="has the key")
        for key in ("a b", "-a", "a_", "", "a!/b", "a/")
    ),
    *(_mistake(*WORKER, "labels", "zone", value=value, says="give at most 63") for value in ("x y", "-x", "x" * 64)),
    _mistake(*WORKER, "labels", "ray.io/node-id", value="x", says="Ray sets this label itself"),
    _mistake(*WORKER, "docker", value="image", says="remove the section"),
    _mistake(*WORKER, "resources", value=[], says="give a mapping such as `{CPU: 4}`"),
    *(_mistake(*WORKER, "resources", "CPU", value=value, says=_WHOLE) for value in (2.5, "4", -1, True, None)),
    _mistake(*WORKER, "resources", "GPU", value=10**30, says="Ray allows at most 100,000,000,000,000"),
    _mistake(*WORKER, "resources", "object_store_memory", value=1000, says="give at least 78,643,200 bytes"),
    _mistake(*WORKER, "resources", value={1: 1}, says="that are no words in quotes"),
    *(_mistake(*WORKER, "node_config", value=value, says="compute_requirement_template") for value in (None, "x", [])),
    _mistake("max_worker", value=1, says="did you mean `max_workers`?"),
    _mistake("head_node", value={"x": 1}, says="use available_node_types"),
    _mistake("head_node_type", value="boss", says="'boss' is not one of available_node_types (head, worker)"),
    _mistake("head_node_type", value=1, says="give text"),
    *(_mistake("idle_timeout_minutes", value=value, says="give a") for value in ("5", -1, float("nan"))),
    *(_mistake("upscaling_speed", value=value, says="give a number") for value in ("fast", -1, 10**400)),
    *(
        _mistake("file_mounts", value=value, says="mapping of remote path to local path")
        for value in (["x"], "x", None)
    ),
    *(_mistake("initialization_commands", value=value, says="give a list of commands") for value in ("x", None, {})),
    _mistake("setup_commands", value=[1], says="setup_commands.0 is 1: give text"),
    _mistake("cluster_synced_files", value=[1], says="cluster_synced_files.0 is 1: give text"),
    _mistake("rsync_exclude", value=[None], says="rsync_exclude.0 is empty: give text"),
    _mistake("file_mounts_sync_continuously", value="no", says="write true or false"),
    _mistake("docker", value={"image": "ray", "container_name": "ray"}, says="RayDog starts Ray in the nodes' tasks"),
    _mistake("docker", value={"pull_before_run": "yes"}, says="write true or false"),
    _mistake("provider", "use_internal_ips", value="yes", says="write true or false"),
    _mistake("provider", "use_external_head_ip", value="no", says="write true or false"),
    _mistake("provider", "disable_node_updaters", value=1, says="write true or false"),
]
"""Mistakes that Ray itself lets pass, or reports by a traceback after it has called the provider."""

_NO_USERS = ("", "a b", "-oX=y", "$(id)", "a{x}", "%h", "a\n")

IN_AUTH = [
    _mistake("auth", value="me", says="give a mapping with `ssh_user` and `ssh_private_key`"),
    _mistake("auth", "ssh_user", value=5, says="give text"),
    *(_mistake("auth", "ssh_user", value=value, says="is not the name of a user") for value in _NO_USERS),
    _mistake("auth", "ssh_users", value="x", says="did you mean `ssh_user`?"),
    _mistake("auth", "ssh_private_key", value="/nope", says="there is no file /nope"),
    _mistake("auth", "ssh_public_key", value="/nope", says="there is no file /nope"),
    _mistake("auth", "ssh_proxy_use_node_id", value=True, says="ssh_proxy_command"),
    YamlMistake(("provider", "auth"), "me", ("auth must be a mapping",), {("auth",): {}}),
]

OF_RAYDOG = [
    _mistake("provider", "cluster_lifetime_hour", value=1, says="did you mean `cluster_lifetime_hours`?"),
    *(
        _mistake("provider", "cluster_lifetime_hours", value=value, says="hours from 0.01")
        for value in (-1, True, 1e-9)
    ),
    *(_mistake("provider", "head_node_tag_server_port", value=value, says="port number") for value in (True, "x", 0)),
    *(
        _mistake("provider", "files_to_upload", value=value, says="give a list of paths, or a mapping")
        for value in ("f", 1, [1], {"a": None})
    ),
    _mistake("provider", "files_to_upload", value=[""], says="is '': give the path of a local file or directory"),
    _mistake("provider", "ray_head_node_task_script", value=" ", says="is empty: write a script, or remove the key"),
    _mistake("provider", "ray_worker_node_task_script", value="file:nope", says="there is no file"),
    _mistake("file_mounts", "~/x", value=None, says="is empty: give the path of a local file or directory"),
    _mistake(*WORKER, "node_config", value={}, says="compute_requirement_template is missing"),
    *(
        _mistake(*WORKER, "node_config", "compute_requirement_template", value=value, says="is neither a template's id")
        for value in ("a/b/c", "a b/c", "a/b\n", "ydid:wrkrpool:x", "ydid:crt:")
    ),
    _mistake(*WORKER, "node_config", "user_data", value="x", says="did you mean `userdata`?"),
]
"""Mistakes in RayDog's own keys, and in paths."""

FOUND_BY_RAYDOG = [*IN_RAYS_KEYS, *OF_RAYDOG, *IN_AUTH]
"""Every mistake of a YAML with which Ray reaches the provider."""

BEFORE_THE_PROVIDER = {
    "docker without a container": (YamlMistake(("docker",), {"image": "x"}, ()), "Must provide a container & image"),
    "docker as text": (YamlMistake(("docker",), "x", ()), "object has no attribute 'get'"),
    "commands as text": (YamlMistake(("setup_commands",), "x", ()), "can only concatenate"),
    "commands empty": (YamlMistake(("setup_commands",), None, ()), "unsupported operand type"),
    "empty node type": (YamlMistake(WORKER, None, ()), "object has no attribute 'setdefault'"),
    "node types as a list": (YamlMistake(("available_node_types",), [{}], ()), "list indices must be integers"),
    "date": (YamlMistake(("metadata",), {"from": date(2026, 1, 1)}, ()), "is not JSON serializable"),
    "binary": (YamlMistake(("metadata",), {"key": b"x"}, ()), "is not JSON serializable"),
    "numbers among names": (YamlMistake(("available_node_types", 1), {}, ()), "not supported between instances"),  # type: ignore[arg-type]
}
"""Mistakes at which Ray fails before it loads the provider, with words of Ray's message."""
