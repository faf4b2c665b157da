"""RayDog's checks of a YAML for `raydog validate`, each apart from the others, so that one mistake hides no other.

`bootstrap` makes the same checks for `ray up`, where the first mistake ends the command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import ray

from yellowdog_ray.config import models as cfg
from yellowdog_ray.config.auth import MISSING, check_public_key
from yellowdog_ray.config.bootstrap import check_cluster_name, check_numbers_of_tags
from yellowdog_ray.config.local_files import (
    by_remote_path,
    check_together,
    file_mounts,
    files_to_upload,
    inline_files,
)
from yellowdog_ray.config.mistakes import Mistake, Place, dotted
from yellowdog_ray.config.node_config import NODE_FILE_KEYS, node_config_mistakes
from yellowdog_ray.config.own_token import SCRIPT_KEY, WORKER_KEY, check_scripts, refuse_settings, refuse_upload
from yellowdog_ray.config.ray_auth import resolve
from yellowdog_ray.config.shell_scripts import check_scripts_of
from yellowdog_ray.config.ssh_key import check_key, use_in_cluster
from yellowdog_ray.config.updaters import head_start, needs_updaters, worker_start
from yellowdog_ray.config.userdata_checks import check_userdata
from yellowdog_ray.node.authentication import MODE_DISABLED, MODE_TOKEN

Check = Callable[[], object]
"""Raises `ConfigError` if the YAML has a mistake."""

_HEAD, _WORKER = cfg.PROVIDER_FILE_KEYS


def section_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    """The mistakes in RayDog's own sections of a YAML without the values that Ray's schema refuses."""
    yield from _auth_mistakes(config)
    yield from cfg.provider_mistakes(config.get("provider") or {})
    for name, node_config in _node_configs(config):
        place: Place = ("available_node_types", name, "node_config")
        for mistake in node_config_mistakes(node_config, dotted(place)):
            yield Mistake((*place, *mistake.place[1:]), mistake.text)


def _auth_mistakes(config: Mapping[str, Any]) -> Iterator[Mistake]:
    place: Place = ("auth",) if config.get("auth") else ("provider", "auth")
    auth = config.get("auth") or (config.get("provider") or {}).get("auth")
    if not auth:
        yield MISSING
        return
    for mistake in cfg.auth_mistakes(auth):
        yield Mistake((*place, *mistake.place[1:]), mistake.text)


def checks(config: Mapping[str, Any], source: str, folders: Sequence[Path]) -> Iterator[Check]:
    """RayDog's further checks, most of which read local files.

    Args:
        config: the YAML without any wrong value.
        source: the YAML's name, for messages.
        folders: the directories of relative paths, in the order of search.
    """
    config = {"available_node_types": {}, **config, "provider": config.get("provider") or {}}
    provider = config["provider"]
    yield partial(check_cluster_name, config.get("cluster_name"), source)
    yield from _of_auth(config, source, folders)
    yield from _of_files(config, source, folders)
    for key in cfg.PROVIDER_FILE_KEYS:
        yield partial(_check_script, provider, key, source, "provider", folders)
    yield partial(check_numbers_of_tags, config, source)
    yield partial(resolve, provider, ray.__version__, source)
    yield from _of_scripts(config, source, folders)
    for name, node_config in _node_configs(config):
        path = dotted(("available_node_types", name, "node_config"))
        for key in NODE_FILE_KEYS:
            yield partial(_check_script, node_config, key, source, path, folders)
        yield partial(_check_userdata, node_config, source, path, folders)


def _check_script(section: Mapping[str, Any], key: str, source: str, path: str, folders: Sequence[Path]) -> None:
    check_scripts_of(inline_files(section, (key,), source, path, folders), (key,), source, path)


def _check_userdata(section: Mapping[str, Any], source: str, path: str, folders: Sequence[Path]) -> None:
    check_userdata(inline_files(section, NODE_FILE_KEYS, source, path, folders), source, path)


def _node_configs(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, node_type in (config.get("available_node_types") or {}).items():
        if isinstance(node_type.get("node_config"), Mapping):
            yield name, node_type["node_config"]


def _of_auth(config: Mapping[str, Any], source: str, folders: Sequence[Path]) -> Iterator[Check]:
    auth = config.get("auth") or config["provider"].get("auth") or {}
    if "ssh_private_key" in auth:
        in_cluster = use_in_cluster(config["provider"], sets_up_workers=_sets_up_workers(config))
        yield partial(check_key, auth["ssh_private_key"], source, folders, in_cluster=in_cluster)
    yield partial(check_public_key, auth, source, folders)


def _of_files(config: Mapping[str, Any], source: str, folders: Sequence[Path]) -> Iterator[Check]:
    mounts = config.get("file_mounts") or {}
    files = config["provider"].get("files_to_upload") or {}
    for remote, local in mounts.items():
        yield partial(file_mounts, {"file_mounts": {remote: local}}, source, folders)
    for remote, local in by_remote_path(files):
        yield partial(files_to_upload, {remote: local}, source, folders)
    all_mounts = cache(partial(file_mounts, {"file_mounts": mounts}, source, folders))
    uploads = cache(partial(files_to_upload, files, source, folders))
    yield all_mounts
    yield uploads
    yield lambda: check_together(all_mounts(), uploads(), source)
    if config["provider"].get("ray_auth") != "none":
        yield lambda: refuse_upload(uploads().items(), source)


def _of_scripts(config: Mapping[str, Any], source: str, folders: Sequence[Path]) -> Iterator[Check]:
    provider = config["provider"]
    mode = MODE_DISABLED if provider.get("ray_auth") == "none" else MODE_TOKEN

    def script(key: str) -> str:
        inlined = inline_files(provider, (key,), source, "provider", folders)
        return str(inlined.get(key) or "")

    yield lambda: refuse_settings(script(_HEAD), SCRIPT_KEY, mode, source)
    yield lambda: refuse_settings(script(_WORKER), WORKER_KEY, mode, source)
    yield lambda: check_scripts(script(_HEAD), script(_WORKER), mode, source)
    yield lambda: head_start(config, script(_HEAD), source)
    if _sets_up_workers(config):
        yield lambda: worker_start(config, script(_WORKER), source)


def _sets_up_workers(config: Mapping[str, Any]) -> bool:
    """Whether Ray's updaters set up workers over SSH."""
    return not config["provider"].get("disable_node_updaters", not needs_updaters(config))
