"""RayDogNodeProvider, the class that Ray loads: chooses a side, delegates to it, translates errors. Nothing else.

Constructing does no network I/O: on the head a failing constructor would end the head. The platform's SDK is imported
at the first platform call, since every `ray` command imports this module.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from yellowdog_ray.commands.context import drop_cached_config_at_the_end, local_need, with_cached_config_path, yaml_file
from yellowdog_ray.config.as_written import warnings_of_file
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.characters import joined
from yellowdog_ray.config.local_files import Need
from yellowdog_ray.config.node_config import NodeConfig, parse_node_config
from yellowdog_ray.config.ray_keys import ray_mistakes
from yellowdog_ray.config.ray_schema import with_empty_resources, without_empty_timeout
from yellowdog_ray.config.ray_steps import accepted_by_ray, completed
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import InternalError, LaunchBackedOff, RayDogError
from yellowdog_ray.wiring import make_side

if TYPE_CHECKING:
    from yellowdog_ray.platform.client import Platform

logger = logging.getLogger(__name__)

T = TypeVar("T")


def _translated(method: Callable[..., T]) -> Callable[..., T]:
    """Let errors leave a method in the way that suits the side."""

    @functools.wraps(method)
    def call(self: RayDogNodeProvider, *args: Any, **kwargs: Any) -> T:
        try:
            return method(self, *args, **kwargs)
        except RayDogError as error:
            translated = self.side.translate(error)
            if translated is None:
                raise
            raise translated from error

    return call


def _require_laptop(config: dict[str, Any]) -> None:
    from yellowdog_ray.commands.laptop_checks import require_laptop

    require_laptop(config["auth"], keeps_token=config["provider"]["ray_auth"] != "none")


class RayDogNodeProvider(NodeProvider):  # type: ignore[misc]  # Ray's classes carry no types
    """Ray's view of one cluster whose nodes are tasks of a YellowDog work requirement.

    Args:
        provider_config: the YAML's `provider` section, before or after `bootstrap_config`.
        cluster_name: the YAML's `cluster_name`.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self.side = make_side(provider_config, cluster_name)

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Check the YAML and complete it. No I/O except reading the files that it names."""
        source, folders = yaml_file()
        try:
            in_text = warnings_of_file(Path(source)) if local_need() is Need.EVERYTHING else []
            config, warnings = bootstrap(cluster_config, source, folders, local_need())
            if local_need() is Need.EVERYTHING:
                _require_laptop(config)
        except RayDogError as error:
            raise click.ClickException(str(error)) from error
        for warning in [*in_text, *warnings]:
            cli_logger.warning("{}", warning)
        drop_cached_config_at_the_end(config["provider"])
        return config

    @staticmethod
    def fillout_available_node_types_resources(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Fill in the `resources` of node types that state none, and labels, if YellowDog describes their machines.

        Ray calls this before it checks the YAML, and `bootstrap_config` afterwards. So this is also where the mistakes
        are found at which Ray itself would fail.
        """
        return with_cached_config_path(RayDogNodeProvider._filled_in(cluster_config), cluster_config)

    @staticmethod
    def _filled_in(cluster_config: dict[str, Any]) -> dict[str, Any]:
        cluster_config = without_empty_timeout(cluster_config)
        mistakes = ray_mistakes(cluster_config)
        if mistakes:
            return accepted_by_ray(cluster_config, mistakes)
        if local_need() is not Need.EVERYTHING:
            return with_empty_resources(completed(cluster_config))

        from yellowdog_ray.commands.machine_sizes import fill_in

        def connect() -> Platform:
            from yellowdog_ray.platform.client import Platform

            return Platform(load_credentials(), str(cluster_config["provider"].get("cluster_namespace", "")))

        return fill_in(completed(cluster_config), yaml_file()[0], connect)

    # Listing: one complete reading, then answers from it

    @_translated
    def non_terminated_nodes(self, tag_filters: Mapping[str, str]) -> list[str]:
        """Ids of the nodes whose tags include all of these, by a fresh reading of the platform.

        On the head, while the platform cannot be read, the last complete listing stands.
        """
        return self.side.list_nodes(tag_filters)

    def safe_to_scale(self) -> bool:
        """Whether Ray may decide on this tick."""
        return self.side.safe_to_scale()

    def node_tags(self, node_id: str) -> dict[str, str]:
        """A node's tags: those it was created with, and what has changed since. Empty for an unknown node."""
        return self.side.node_tags(node_id)

    def is_running(self, node_id: str) -> bool:
        """Whether the node's task runs."""
        return self.side.is_running(node_id)

    def is_terminated(self, node_id: str) -> bool:
        """Whether the node is gone."""
        return self.side.is_terminated(node_id)

    def internal_ip(self, node_id: str) -> str | None:
        """The address that Ray nodes use among themselves; None while unknown."""
        return self.side.internal_ip(node_id)

    def external_ip(self, node_id: str) -> str | None:
        """The address for the outside; where a node has none, the internal one. None while unknown."""
        return self.side.external_ip(node_id)

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        """Merge tags into a node's."""
        self.side.set_tags(node_id, tags)

    # Launching and terminating

    @_translated
    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        """Create the head (Ray does so by this call), or launch workers without declared resources."""
        if tags.get(TAG_RAY_NODE_KIND) != NODE_KIND_HEAD:
            return self.create_node_with_resources_and_labels(node_config, tags, count, {}, {})
        self.side.create_head(self._node_config(node_config, tags), tags)
        return {}

    def create_node_with_resources_and_labels(
        self,
        node_config: dict[str, Any],
        tags: dict[str, str],
        count: int,
        resources: Mapping[str, float],
        labels: Mapping[str, str],
    ) -> dict[str, Any]:
        """Launch workers; they are listed when this returns.

        Raises:
            NodeLaunchException: the launch failed; its category is a code of `errors`.
        """
        from yellowdog_ray.cluster.launch import LaunchRequest

        node_type = tags.get(TAG_RAY_USER_NODE_TYPE, "")
        try:
            config = self._node_config(node_config, tags)
            node_ids = self.side.launcher.launch(LaunchRequest(node_type, config, tags, count, resources, labels))
        except LaunchBackedOff as pause:
            self.side.launch_failed()
            logger.info("%d node(s) of type '%s' are not launched: %s", count, node_type, pause)
            raise NodeLaunchException(pause.code, str(pause), None) from pause
        except RayDogError as error:
            self.side.launch_failed()
            bug = isinstance(error, InternalError)
            text = "%d node(s) of type '%s' could not be launched: %s: %s"
            logger.log(logging.ERROR, text, count, node_type, error.code, error, exc_info=bug)
            raise NodeLaunchException(error.code, str(error), sys.exc_info()) from error
        logger.info("%d node(s) of type '%s' launched: %s", count, node_type, ", ".join(node_ids[:5]))
        return {node_id: {} for node_id in node_ids}

    def _node_config(self, node_config: dict[str, Any], tags: Mapping[str, str]) -> NodeConfig:
        path = f"available_node_types.{tags.get(TAG_RAY_USER_NODE_TYPE, '')}.node_config"
        return parse_node_config(joined(node_config), self.side.settings.current.internal.source, path)

    @_translated
    def terminate_node(self, node_id: str) -> None:
        """Terminate one node."""
        self.side.terminate_node(node_id)

    @_translated
    def terminate_nodes(self, node_ids: list[str]) -> None:
        """Terminate nodes."""
        self.side.terminate_nodes(node_ids)

    @_translated
    def cleanup_cluster_resources(self) -> None:
        """Finish `ray down`: wait until the platform shows nothing alive, and report it."""
        self.side.tear_down()

    # Setting nodes up

    @_translated
    def prepare_for_head_node(self, cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Get the head ready for Ray. Returns the configuration that it is to have."""
        return self.side.prepare_head(cluster_config)

    def get_command_runner(self, log_prefix: str, node_id: str, *arguments: Any, **options: Any) -> Any:
        """Ray's way to run commands on a node."""

        def make() -> Any:
            return NodeProvider.get_command_runner(self, log_prefix, node_id, *arguments, **options)

        return self.side.command_runner(node_id, make)
