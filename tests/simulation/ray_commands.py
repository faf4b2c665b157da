"""The calls of the provider by `ray up` and `ray down`, in the order of autoscaler/_private/commands.py (Ray 2.60)."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import click
from ray.autoscaler._private.util import hash_launch_conf
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    NODE_KIND_WORKER,
    STATUS_UP_TO_DATE,
    TAG_RAY_LAUNCH_CONFIG,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)

from yellowdog_ray.provider import RayDogNodeProvider

POLL_SECONDS = 5.0
"""Ray's POLL_INTERVAL."""

HEAD_FETCH_SECONDS = 50.0
"""How long `ray up` waits for the head to be listed."""

Sleep = Callable[[float], None]
_HEADS = {TAG_RAY_NODE_KIND: NODE_KIND_HEAD}
_WORKERS = {TAG_RAY_NODE_KIND: NODE_KIND_WORKER}


class CommandFailed(Exception):
    """The command ended with an error message."""


def run_command(command: Callable[[], Any]) -> Any:
    """Run a command and return its result.

    Raises:
        CommandFailed: it failed with one message. Any other exception would be a traceback for its user.
    """
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            return command()
        except click.ClickException as error:
            raise CommandFailed(error.format_message()) from error
        except SystemExit as error:
            raise CommandFailed(str(error.__cause__)) from error


def ray_up(user_config: dict[str, Any], sleep: Sleep) -> dict[str, Any]:
    """Find or create the head and set it up. Returns the configuration for the head."""
    config, provider = _provider(user_config)
    head_type = config["head_node_type"]
    node_config = config["available_node_types"][head_type]["node_config"]
    launch_hash = hash_launch_conf(node_config, config["auth"])
    head = _same_head(provider, head_type, launch_hash)
    if head is None:
        _create_head(provider, config, launch_hash)
        head = _new_head(provider, sleep)
    on_head: dict[str, Any] = provider.prepare_for_head_node(config)
    provider.set_node_tags(head, {TAG_RAY_NODE_STATUS: "waiting-for-ssh"})
    provider.set_node_tags(head, {TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE, "ray-runtime-config": "0"})
    return on_head


def make_head(user_config: dict[str, Any]) -> None:
    """Launch a head, and do not wait for it."""
    config, provider = _provider(user_config)
    node_config = config["available_node_types"][config["head_node_type"]]["node_config"]
    _create_head(provider, config, hash_launch_conf(node_config, config["auth"]))


def make_workers(user_config: dict[str, Any], workers: dict[str, int]) -> None:
    """Launch so many workers of each type in a cluster whose head is up, as an autoscaler would."""
    config, provider = _provider(user_config)
    provider.non_terminated_nodes({})
    for node_type, count in workers.items():
        tags = {**_WORKERS, TAG_RAY_USER_NODE_TYPE: node_type, TAG_RAY_NODE_STATUS: "uninitialized"}
        entry = config["available_node_types"][node_type]
        provider.create_node_with_resources_and_labels(entry["node_config"], tags, count, entry["resources"], {})


def _provider(user_config: dict[str, Any]) -> tuple[dict[str, Any], RayDogNodeProvider]:
    """The completed YAML, and a provider for it."""
    config = RayDogNodeProvider.bootstrap_config(copy.deepcopy(user_config))
    return config, RayDogNodeProvider(config["provider"], config["cluster_name"])


def _create_head(provider: RayDogNodeProvider, config: dict[str, Any], launch_hash: str) -> None:
    head_type = config["head_node_type"]
    tags = {
        TAG_RAY_NODE_KIND: NODE_KIND_HEAD,
        TAG_RAY_USER_NODE_TYPE: head_type,
        TAG_RAY_LAUNCH_CONFIG: launch_hash,
        TAG_RAY_NODE_NAME: f"ray-{config['cluster_name']}-head",
        TAG_RAY_NODE_STATUS: "uninitialized",
    }
    provider.create_node(config["available_node_types"][head_type]["node_config"], tags, 1)


def _same_head(provider: RayDogNodeProvider, head_type: str, launch_hash: str) -> str | None:
    heads = provider.non_terminated_nodes(_HEADS)
    if not heads:
        return None
    tags = provider.node_tags(heads[0])
    if (tags.get(TAG_RAY_USER_NODE_TYPE), tags.get(TAG_RAY_LAUNCH_CONFIG)) == (head_type, launch_hash):
        return heads[0]
    provider.terminate_node(heads[0])
    return None


def _new_head(provider: RayDogNodeProvider, sleep: Sleep) -> str:
    for _ in range(int(HEAD_FETCH_SECONDS / POLL_SECONDS)):
        heads = provider.non_terminated_nodes(_HEADS)
        if len(heads) == 1:
            return heads[0]
        sleep(POLL_SECONDS)
    raise CommandFailed("Head node fetch timed out. Failed to create head node.")


def ray_down(user_config: dict[str, Any], sleep: Sleep) -> None:
    """Terminate all nodes, then everything else that the provider has created."""
    _, provider = _provider(user_config)

    def remaining() -> list[str]:
        workers = provider.nodes_for_teardown(_WORKERS)
        return [*provider.nodes_for_teardown(_HEADS), *workers]

    nodes = remaining()
    while nodes:
        provider.terminate_nodes(nodes)
        sleep(POLL_SECONDS)
        nodes = remaining()
    provider.cleanup_cluster_resources()
