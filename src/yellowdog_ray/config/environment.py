"""The environment of the head's and the workers' tasks, without the ticket (monitor/admission.py).

No I/O except reading the API key if the YAML says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType

from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

from yellowdog_ray.config import limits
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.node import authentication, carrying, package, variables
from yellowdog_ray.node.machine_labels import VARIABLES, with_machine_labels
from yellowdog_ray.node.scripts import HEAD_SCRIPT


def head_environment(
    node_id: str, tags: Mapping[str, str], work_requirement_id: str, settings: ProviderSettings, *, v2: bool
) -> dict[str, str]:
    """The environment of the head's task: what `ray up` would have injected, and the pacing of Ray's autoscaler.

    Args:
        node_id: the head's node id.
        tags: its tags at creation.
        work_requirement_id: the YellowDog id of the cluster's work requirement.
        settings: the `provider` section.
        v2: whether autoscaler v2 runs.

    Raises:
        CredentialsError: the YAML has `api_key_in_head_task`, and there is no key.
    """
    internal = settings.internal
    key = load_credentials().as_environment() if settings.api_key_in_head_task else {}
    return {
        **_node_environment(node_id, tags, internal.head_resources, internal.head_labels),
        **_machine(internal.head_machine_labels),
        **_pacing(settings, v2=v2),
        **_updater(internal.head_updater),
        **_worker_updaters(settings),
        **key,
        variables.AUTOSCALER_V2: "1" if v2 else "0",
        variables.TAG_SERVER_PORT: str(settings.head_node_tag_server_port),
        variables.ON_HEAD: "1",
        variables.WORK_REQUIREMENT_ID: work_requirement_id,
        variables.AUTH_MODE: settings.auth_mode,
        **({variables.HEAD_RESTART: variables.FIRST_HEAD} if settings.head_restart else {}),
    }


def head_task_script(settings: ProviderSettings) -> str:
    """The script of the head's task."""
    script = settings.ray_head_node_task_script or HEAD_SCRIPT
    script = package.head_script(with_machine_labels(carrying.head_script(script) if settings.head_restart else script))
    return authentication.head_script(script) if settings.auth_mode == authentication.MODE_TOKEN else script


def worker_environment(
    node_id: str,
    tags: Mapping[str, str],
    head_ip: str,
    resources: Mapping[str, float],
    labels: Mapping[str, str],
    updater: str = "",
    machine_labels: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The environment of a worker's task.

    Args:
        node_id: the worker's node id.
        tags: its tags at creation.
        head_ip: the address to join.
        resources: the resources that it offers to Ray.
        labels: its Ray labels.
        machine_labels: those among them that the YAML does not state: a task script may state others.
        updater: what its script leaves to Ray's updater: `SETS_UP`, `STARTS_RAY` or nothing.
    """
    stated = {key: value for key, value in labels.items() if key not in machine_labels}
    environment = {**_node_environment(node_id, tags, resources, stated), **_machine(machine_labels)}
    return {**environment, **_updater(updater), variables.HEAD_IP: head_ip}


def _machine(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of the machine, which Ray takes as its defaults. It detects an accelerator by itself."""
    return {VARIABLES[label]: value for label, value in labels.items() if label in VARIABLES}


def _node_environment(
    node_id: str, tags: Mapping[str, str], resources: Mapping[str, float], labels: Mapping[str, str]
) -> dict[str, str]:
    return {
        variables.CLOUD_INSTANCE_ID: node_id,
        variables.NODE_TYPE_NAME: tags.get(TAG_RAY_USER_NODE_TYPE, ""),
        variables.OVERRIDE_RESOURCES: json.dumps(resources, sort_keys=True),
        variables.OVERRIDE_LABELS: json.dumps(labels, sort_keys=True),
        variables.NODE_TAGS: json.dumps(dict(tags), sort_keys=True),
        **limits.RAYLET_CONNECT,
    }


def _pacing(settings: ProviderSettings, *, v2: bool) -> dict[str, str]:
    max_workers = settings.internal.max_workers
    small = v2 and max_workers is not None and max_workers <= limits.SMALL_CLUSTER
    return {
        variables.MAX_CONCURRENT_LAUNCHES: str(limits.MAX_LAUNCHES),
        variables.MAX_LAUNCH_BATCH: str(limits.MAX_LAUNCHES),
        variables.UPDATE_INTERVAL: str(limits.SMALL_TICK_SECONDS if small else limits.TICK_SECONDS),
        variables.RESOURCE_LOADS_PERIOD: str(limits.SMALL_LOADS_MILLISECONDS if small else limits.LOADS_MILLISECONDS),
        variables.ALLOCATE_TIMEOUT: str(_allocate_seconds(settings)),
    }


def _allocate_seconds(settings: ProviderSettings) -> int:
    """Longer than RayDog waits for a machine and then for Ray on it, so that RayDog's timeouts decide."""
    return max(limits.ALLOCATE_SECONDS, math.ceil(3 * settings.worker_node_build_timeout_minutes * 60))


def _updater(updater: str) -> dict[str, str]:
    return {variables.UPDATER: updater} if updater else {}


def _worker_updaters(settings: ProviderSettings) -> dict[str, str]:
    """The variables that the head needs for its workers' updaters: long timeouts, since RayDog's own decide."""
    internal = settings.internal
    if not internal.worker_updater:
        return {}
    until_ssh = 2 * settings.worker_node_build_timeout_minutes * 60  # for a machine, and then for its SSH server
    return {
        variables.WORKER_UPDATER: internal.worker_updater,
        variables.UPDATED_NODE_TYPES: json.dumps(sorted(internal.node_types)),
        variables.NODE_START_WAIT: str(math.ceil(max(until_ssh, limits.NODE_START_WAIT_SECONDS))),
        variables.RAY_INSTALL_TIMEOUT: str(limits.RAY_INSTALL_SECONDS),
    }
