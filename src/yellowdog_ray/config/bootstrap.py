"""`bootstrap_config`: check a YAML, complete it, and make it independent of the laptop, before anything costs money.

No I/O except reading the files that the YAML names. The result is deterministic and has no secrets; bootstrapping it
again changes nothing.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from yellowdog_ray.config import models as cfg
from yellowdog_ray.config.auth import absolute_auth, check_public_key
from yellowdog_ray.config.existing_cluster import for_existing_cluster
from yellowdog_ray.config.instance_tags import check_number, user_of_this_machine
from yellowdog_ray.config.limits import IDLE_TIMEOUT_MINUTES, UPSCALING_SPEED
from yellowdog_ray.config.local_files import (
    Need,
    by_remote_path,
    check_together,
    file_mounts,
    files_to_upload,
    inline_files,
)
from yellowdog_ray.config.mistakes import dotted, refuse
from yellowdog_ray.config.node_config import NODE_FILE_KEYS, NodeConfig, parse_node_config
from yellowdog_ray.config.own_token import check_scripts, mounted_token, refuse_upload
from yellowdog_ray.config.public_keys import public_key_warnings
from yellowdog_ray.config.ray_auth import resolve
from yellowdog_ray.config.ray_steps import completed, take_mistakes
from yellowdog_ray.config.restart_checks import check_restart
from yellowdog_ray.config.script_texts import has_private_key
from yellowdog_ray.config.shell_scripts import (
    check_scripts_of,
    line_end_warnings,
    port_warnings,
    starts_no_ray,
    version_warnings,
)
from yellowdog_ray.config.ssh_key import check_key, use_in_cluster
from yellowdog_ray.config.updaters import (
    for_workers_only,
    head_start,
    needs_updaters,
    scripts_that_do_not_wait,
    worker_start,
)
from yellowdog_ray.config.userdata_checks import check_userdata, userdata_warnings
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.names import NAMING_RULE, is_valid_name
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.node.scripts import HEAD_SCRIPT, STARTS_RAY, WORKER_SCRIPT
from yellowdog_ray.node.variables import AUTH_TOKEN

_DEFAULT_SCRIPTS = {"ray_head_node_task_script": HEAD_SCRIPT, "ray_worker_node_task_script": WORKER_SCRIPT}
_STOPS_RAY = re.compile(r"\bray\s+stop\b")
_PORT_OPTION = re.compile(r"(?:valkey|redis)-server\b[^\n]*?--port[ =]+[\"']?(\d+)")


def bootstrap(
    config: Mapping[str, Any], source: str, folders: list[Path], need: Need = Need.EVERYTHING
) -> tuple[dict[str, Any], list[str]]:
    """Check and complete a cluster's configuration.

    Args:
        config: the YAML as Ray has prepared it; it is not changed.
        source: the YAML's name, for messages.
        folders: the directories of relative paths, in the order of search.
        need: what the command needs of the local files. One that only reads or removes is never stopped by them.

    Returns:
        The completed configuration, and warnings for the user.

    Raises:
        ConfigError: the YAML has a mistake.
    """
    result = copy.deepcopy(dict(config))
    check_cluster_name(result.get("cluster_name"), source)
    mistakes = take_mistakes(result)
    if need is not Need.EVERYTHING:
        return for_existing_cluster(result, mistakes, source, folders, need), []
    refuse(mistakes, source)
    result = completed(result)
    result["auth"], key = absolute_auth(result, source, folders)
    check_public_key(result["auth"], source, folders)

    provider = inline_files(result["provider"], cfg.PROVIDER_FILE_KEYS, source, "provider", folders)
    result["available_node_types"] = _node_types(result, source, folders)
    cfg.check_copied_auth(provider, source)
    provider["auth"] = result["auth"]
    ignored = _ignored(result)
    provider.setdefault("disable_node_updaters", not needs_updaters(result))
    in_cluster = use_in_cluster(provider, sets_up_workers=not provider["disable_node_updaters"])
    public_key = check_key(key, source, folders, in_cluster=in_cluster)
    result["file_mounts"] = file_mounts(result, source, folders)
    filled = provider.pop(cfg.FILLED_KEY, {})
    if cfg.INTERNAL_KEY not in provider:
        provider[cfg.INTERNAL_KEY] = {
            **_internal(result, source, filled),
            **_start_commands(result, provider, source),
            **mounted_token(result["file_mounts"]),
        }
    for name, default in _DEFAULT_SCRIPTS.items():
        if provider.get(name) is None:
            provider[name] = default
    provider["ray_auth"], auth_warnings = resolve(provider, ray.__version__, source)
    settings = cfg.parse_provider(provider, source)
    check_numbers_of_tags({**result, "provider": provider}, source)
    if settings.files_to_upload:
        provider["files_to_upload"] = files_to_upload(settings.files_to_upload, source, folders)
        check_together(result["file_mounts"], provider["files_to_upload"], source)
    head_script, worker_script = (getattr(settings, name) or "" for name in _DEFAULT_SCRIPTS)
    check_scripts(head_script, worker_script, settings.auth_mode, source)
    own = {name: provider[name] for name, default in _DEFAULT_SCRIPTS.items() if provider[name] != default}
    check_scripts_of(own, cfg.PROVIDER_FILE_KEYS, source, "provider")
    if settings.auth_mode == MODE_TOKEN:
        refuse_upload(by_remote_path(provider.get("files_to_upload") or {}), source)

    provider.setdefault("disable_launch_config_check", True)
    provider.setdefault("foreground_node_launch", True)
    result["provider"] = provider
    result.setdefault("upscaling_speed", UPSCALING_SPEED)
    warnings = _timing_warnings(settings, result, source)
    if result.get("idle_timeout_minutes") is None:
        result["idle_timeout_minutes"] = IDLE_TIMEOUT_MINUTES
    warnings += [
        *_warnings(settings, result, source, ignored),
        *auth_warnings,
        *check_restart(settings, result, config, source),
    ]
    return result, warnings + public_key_warnings(result, config, public_key, source)


def check_cluster_name(name: object, source: str) -> None:
    """Refuse a name that YellowDog would refuse.

    Raises:
        ConfigError: it would.
    """
    if isinstance(name, str) and is_valid_name(name):
        return
    raise ConfigError(f"{source}: cluster_name {str(name)!r} is not a name that YellowDog accepts: use {NAMING_RULE}")


def _node_types(config: Mapping[str, Any], source: str, folders: list[Path]) -> dict[str, Any]:
    node_types = copy.deepcopy(dict(config["available_node_types"]))
    for name, node_type in node_types.items():
        path = dotted(("available_node_types", name, "node_config"))
        section = node_type.get("node_config") or {}
        node_config = inline_files(section, NODE_FILE_KEYS, source, path, folders)
        parse_node_config(node_config, source, path)
        check_scripts_of(node_config, NODE_FILE_KEYS, source, path)
        check_userdata(node_config, source, path)
        node_type["node_config"] = node_config
    return node_types


def _internal(config: Mapping[str, Any], source: str, filled: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    node_types = config["available_node_types"]
    head = node_types[config["head_node_type"]]
    machine_labels = {name: filled.get(name, {}).get("labels", {}) for name in node_types}
    heads = machine_labels[config["head_node_type"]]
    return {
        "source": source,
        "user": user_of_this_machine(),
        "max_workers": config.get("max_workers"),
        "head_resources": head.get("resources") or {},
        "head_labels": {key: value for key, value in (head.get("labels") or {}).items() if key not in heads},
        "head_machine_labels": heads,
        "node_types": {
            name: {
                "compute_requirement_template": node_type["node_config"].get("compute_requirement_template"),
                "worker_pool": node_type["node_config"].get("worker_pool"),
                "instance_tags": node_type["node_config"].get("instance_tags") or {},
                "max_workers": node_type.get("max_workers"),
                "resources": node_type.get("resources") or {},
                "resources_origin": filled.get(name, {}).get("origin"),
                "resources_unknown": filled.get(name, {}).get("unknown"),
                "machine_labels": machine_labels[name],
            }
            for name, node_type in node_types.items()
        },
    }


def check_numbers_of_tags(config: Mapping[str, Any], source: str) -> None:
    """Refuse more tags than one machine can have, of the cluster and of a node type together.

    Raises:
        ConfigError: a node type has more.
    """
    of_cluster = config["provider"].get("instance_tags") or {}
    for name, node_type in config["available_node_types"].items():
        own = (node_type.get("node_config") or {}).get("instance_tags") or {}
        try:
            check_number({**of_cluster, **own})
        except ValueError as error:
            place = dotted(("available_node_types", name, "node_config", "instance_tags"))
            raise ConfigError(f"{source}: {place} and provider.instance_tags have together {error}") from error


def _start_commands(result: dict[str, Any], provider: Mapping[str, Any], source: str) -> dict[str, str]:
    """Set the start commands in the configuration. Returns what the tasks leave to the updaters."""
    head = head_start(result, provider.get("ray_head_node_task_script"), source)
    result["head_start_ray_commands"] = head.commands
    if provider["disable_node_updaters"]:
        return {"head_updater": head.updater}
    worker = worker_start(result, provider.get("ray_worker_node_task_script"), source)
    result["worker_start_ray_commands"] = worker.commands
    return {"head_updater": head.updater, "worker_updater": worker.updater}


def _quoted_warnings(config: Mapping[str, Any], source: str) -> list[str]:
    """A warning for each number, or true or false, in quotes: the meaning is beyond doubt."""
    quoted = [f"provider.{key}" for key in cfg.quoted_keys(config["provider"], cfg.ProviderSettings)]
    for name, node_type in config["available_node_types"].items():
        place = dotted(("available_node_types", name, "node_config"))
        quoted += [f"{place}.{key}" for key in cfg.quoted_keys(node_type["node_config"], NodeConfig)]
    return [f"{source}: {place} is in quotes, and RayDog reads it without: remove the quotes" for place in quoted]


def _timing_warnings(settings: cfg.ProviderSettings, config: Mapping[str, Any], source: str) -> list[str]:
    """A warning for each stated time after which nothing is left to end or to wait for."""
    lifetime = settings.cluster_lifetime_hours * 60
    shown = f"the cluster's lifetime is {lifetime:g} minutes (provider.cluster_lifetime_hours)"
    stated = {
        "idle_timeout_minutes": config.get("idle_timeout_minutes"),
        "provider.idle_termination_minutes": settings.idle_termination_minutes,
    }
    warnings = [
        f"{source}: {key} is {_plain(minutes)}, which has no effect: {shown}. Lower the one or raise the other"
        for key, minutes in stated.items()
        if minutes is not None and minutes >= lifetime
    ]
    key = "head_node_build_timeout_minutes"
    if key in settings.model_fields_set and settings.head_node_build_timeout_minutes > lifetime:
        warnings.append(
            f"{source}: provider.{key} is {settings.head_node_build_timeout_minutes:g}, and {shown}: the cluster may "
            "end before its head is ready. Lower the one or raise the other"
        )
    return warnings


def _plain(number: float) -> str:
    """A number without an exponent, and without a point where it is whole."""
    return f"{number:,.2f}".rstrip("0").rstrip(".")


def _ignored(config: Mapping[str, Any]) -> list[str]:
    """Keys that need updaters of workers while the YAML disables updaters."""
    return for_workers_only(config) if config["provider"].get("disable_node_updaters") else []


def _warnings(
    settings: cfg.ProviderSettings, config: Mapping[str, Any], source: str, ignored: Sequence[str]
) -> list[str]:
    script = settings.ray_head_node_task_script or ""
    port = settings.head_node_tag_server_port
    stated = _PORT_OPTION.search(script)
    warnings = []
    if stated and int(stated.group(1)) != port:
        warnings.append(
            f"{source}: provider.head_node_tag_server_port is {port}, but ray_head_node_task_script starts the tag "
            f"server on port {stated.group(1)}: make the two ports equal, or RayDog cannot store tags"
        )
    commands = config.get("head_start_ray_commands") or ()
    if settings.internal.head_updater != STARTS_RAY and any(_STOPS_RAY.search(str(command)) for command in commands):
        warnings.append(
            f"{source}: head_start_ray_commands run `ray stop` at every `ray up`, which ends the head's task and the "
            "cluster. Remove the commands: provider.ray_head_node_task_script starts Ray"
        )
    if settings.api_key_in_head_task:
        warnings.append(
            f"{source}: provider.api_key_in_head_task puts the API key into the head task's environment, where "
            "all readers of the task can copy it. Remove that key, and let your script read "
            "~/.raydog/credentials instead"
        )
    warnings += [
        f"{source}: provider.{key} contains {AUTH_TOKEN}, which all readers of the task can copy: remove that "
        "line. RayDog gives each cluster a token (docs/security.md)"
        for key in cfg.PROVIDER_FILE_KEYS
        if f"{AUTH_TOKEN}=" in (getattr(settings, key) or "")
    ]
    warnings += [
        f"{source}: provider.{key} contains a private key, which all readers of the task can copy. Put the key "
        "into the image, or copy it with file_mounts"
        for key in cfg.PROVIDER_FILE_KEYS
        if has_private_key(getattr(settings, key) or "")
    ]
    if ignored:
        warnings.append(
            f"{source}: provider.disable_node_updaters is true, so {', '.join(ignored)} has no effect: remove that "
            "key, and Ray sets up the workers over SSH"
        )
    updaters = {"head": settings.internal.head_updater, "worker": settings.internal.worker_updater}
    warnings += starts_no_ray(config["provider"], updaters, source)
    warnings += _quoted_warnings(config, source)
    warnings += userdata_warnings(config, source)
    warnings += version_warnings(config, source)
    warnings += port_warnings(script, settings.ray_worker_node_task_script or "", source)
    uploads = config["provider"].get("files_to_upload") or {}
    for key, files in (("file_mounts", config["file_mounts"]), ("provider.files_to_upload", uploads)):
        warnings += line_end_warnings(files, source, key)
    return warnings + scripts_that_do_not_wait(config, updaters, source)
