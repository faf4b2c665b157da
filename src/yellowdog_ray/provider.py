"""RayDogNodeProvider: Ray's face. Thin; it translates between Ray's NodeProvider interface and `cluster`.

Constructing does no network I/O (on the head a failing constructor would end the head), and reading changes nothing.
The platform's SDK is imported at the first platform call, since every `ray` command imports this module.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    STATUS_UP_TO_DATE,
    STATUS_UPDATE_FAILED,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.commands.context import drop_cached_config, ends_the_cluster, wants_v2, yaml_file
from yellowdog_ray.commands.down import LastWord, StopsRay
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.models import NodeConfig, parse_node_config
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import HeadError, HostKeyChanged, LaunchPaused, PlatformError, RayDogError, SshError
from yellowdog_ray.monitor.outage import Outage
from yellowdog_ray.node import variables
from yellowdog_ray.remote.ssh import SSH_PORT, answers
from yellowdog_ray.wiring import Parts

if TYPE_CHECKING:
    from yellowdog_ray.cluster.cluster import Cluster
    from yellowdog_ray.platform.client import Platform
    from yellowdog_ray.platform.types import WorkRequirementView

logger = logging.getLogger(__name__)

T = TypeVar("T")

_KNOCK_SECONDS = 10.0

_REMOTE_KEY = "~/ray_bootstrap_key.pem"

MOST_TICKS_PUT_OFF = 5
"""So many ticks in a row at most may autoscaler v1 be kept waiting for Ray's news of placement groups: where groups are
placed all the time, a demand must not wait for ever."""


def _plain_errors(method: Callable[..., T]) -> Callable[..., T]:
    """On a user's machine, let a `ray` command end with one message instead of a traceback."""

    @functools.wraps(method)
    def speak(self: RayDogNodeProvider, *args: Any, **kwargs: Any) -> T:
        try:
            return method(self, *args, **kwargs)
        except RayDogError as error:
            if self.on_head:
                raise
            raise click.ClickException(str(error)) from error

    return speak


class RayDogNodeProvider(NodeProvider):  # type: ignore[misc]  # Ray's classes carry no types
    """Ray's view of one cluster whose nodes are tasks of a YellowDog work requirement.

    Args:
        provider_config: the YAML's `provider` section, before or after `bootstrap_config`.
        cluster_name: the YAML's `cluster_name`.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self.on_head = os.environ.get(variables.ON_HEAD) == "1"
        self.parts = Parts(provider_config, cluster_name, on_head=self.on_head)
        self._shows_joined = self.parts.v1 and bool(provider_config.get("disable_node_updaters"))
        self._outage = Outage()
        self._last_word = LastWord(self.cleanup_cluster_resources)
        self._listed: Mapping[str, ClusterNode] = {}
        self._asked_to_end = False
        self._made_head = False
        self._put_off = 0

    @property
    def cluster(self) -> Cluster:
        """The cluster on the platform."""
        return self.parts.cluster

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Check the YAML and complete it. Pure apart from reading the files that it names."""
        source, folders = yaml_file()
        try:
            config, warnings = bootstrap(cluster_config, source, folders)
        except RayDogError as error:
            raise click.ClickException(str(error)) from error
        for warning in warnings:
            cli_logger.warning("{}", warning)
        return config

    @staticmethod
    def fillout_available_node_types_resources(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Give the node types without `resources` those of their machines, as far as YellowDog knows them."""
        from yellowdog_ray.commands.resources import fill_in

        def connect() -> Platform:
            from yellowdog_ray.platform.client import Platform

            return Platform(load_credentials(), str(cluster_config["provider"].get("cluster_namespace", "")))

        return fill_in(cluster_config, yaml_file()[0], connect)

    # Listing: one complete reading, then answers from it

    @_plain_errors
    def non_terminated_nodes(self, tag_filters: Mapping[str, str]) -> list[str]:
        """Ids of the nodes whose tags include all of these, by a fresh reading of the platform.

        On the head, while the platform cannot be read, the last complete listing stands.
        """
        if not self.on_head:
            self._last_word.listing(tag_filters)
        snapshot = self._read()
        self._listed = snapshot.nodes
        if not tag_filters:
            return list(snapshot.nodes)
        wanted = tag_filters.items()
        return [node_id for node_id in snapshot.nodes if wanted <= self.node_tags(node_id).items()]

    def safe_to_scale(self) -> bool:
        """Whether Ray may decide on this tick: not while v1 would make nodes for placement groups that have theirs."""
        put_off = self.parts.v1 and self._put_off < MOST_TICKS_PUT_OFF and self.parts.ray_nodes.counts_placed_groups()
        self._put_off = self._put_off + 1 if put_off else 0
        return not put_off

    def node_tags(self, node_id: str) -> dict[str, str]:
        """A node's tags: those it was made with, and what has changed since."""
        node = self._node(node_id)
        if node is None:
            return {}
        tags = {**node.tags, **self.parts.tag_store.get(node_id)}
        # Ray's old autoscaler kills a node that says `up-to-date` before Ray knows its raylet and thus its address.
        # Where it has updaters, they say how far a node is.
        if self._shows_joined and self.parts.ray_nodes.joined(node_id, node.private_ip):
            tags[TAG_RAY_NODE_STATUS] = STATUS_UP_TO_DATE
        return tags

    def is_running(self, node_id: str) -> bool:
        """Whether the node's task runs."""
        node = self._node(node_id)
        return node is not None and node.phase is Phase.RUNNING

    def is_terminated(self, node_id: str) -> bool:
        """Whether the node is gone. On a laptop, where nothing else lists meanwhile, this reads the platform."""
        if not self.on_head:
            with contextlib.suppress(PlatformError):  # no news is no reason to call a node gone
                self.cluster.refresh()
        return node_id not in self.cluster.snapshot.nodes

    def internal_ip(self, node_id: str) -> str | None:
        """The address that Ray nodes use among themselves; None while unknown.

        On the head, once a node has joined, it is the one that it has joined with: of a host that has several, Ray may
        have taken another than the platform shows, and the old autoscaler knows nodes by nothing else.
        """
        node = self._node(node_id)
        return (self.parts.ray_nodes.address(node_id) or node.private_ip) if node else None

    def external_ip(self, node_id: str) -> str | None:
        """The address for the outside; where a node has none, the internal one. None while unknown."""
        node = self._node(node_id)
        return (node.public_ip or node.private_ip) if node else None

    # Growing and shrinking

    @_plain_errors
    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        """Make the head (Ray makes it by this call), or workers without declared resources."""
        if tags.get(TAG_RAY_NODE_KIND) != NODE_KIND_HEAD:
            return self.create_node_with_resources_and_labels(node_config, tags, count, {}, {})
        from yellowdog_ray.commands.up import create_head

        self._asked_to_end = False
        config = self._node_config(node_config, tags)
        progress = Progress()
        create_head(self.cluster, config, tags, progress, v2=wants_v2())
        self._made_head = True
        for node_id in self.cluster.snapshot.nodes:
            # Until the head's store runs, what we know of its status is what Ray has just told us.
            self.parts.tag_store.remember(node_id, {TAG_RAY_NODE_STATUS: tags[TAG_RAY_NODE_STATUS]})
        progress.done(f"cluster '{self.cluster_name}' is on YellowDog: work requirement and head pool are made")
        return {}

    def create_node_with_resources_and_labels(
        self,
        node_config: dict[str, Any],
        tags: dict[str, str],
        count: int,
        resources: Mapping[str, float],
        labels: Mapping[str, str],
    ) -> dict[str, Any]:
        """Make workers; they are listed when this returns.

        Raises:
            NodeLaunchException: they cannot be made; its category is a code of `errors`.
        """
        from yellowdog_ray.cluster.launch import LaunchRequest

        node_type = tags.get(TAG_RAY_USER_NODE_TYPE, "")
        try:
            config = self._node_config(node_config, tags)
            node_ids = self.parts.growth.grow(LaunchRequest(node_type, config, tags, count, resources, labels))
        except LaunchPaused as pause:
            logger.info("%d node(s) of type '%s' are not asked for: %s", count, node_type, pause)
            raise NodeLaunchException(pause.code, str(pause), None) from pause
        except RayDogError as error:
            logger.error("%d node(s) of type '%s' could not be launched: %s: %s", count, node_type, error.code, error)  # noqa: TRY400
            raise NodeLaunchException(error.code, str(error), sys.exc_info()) from error
        logger.info("%d node(s) of type '%s' asked for: %s", count, node_type, ", ".join(node_ids[:5]))
        return {node_id: {} for node_id in node_ids}

    @_plain_errors
    def terminate_node(self, node_id: str) -> None:
        """End a node. On a user's machine `ray up` asks for the head's end like this, to make another: it may not."""
        from yellowdog_ray.commands.reconfigure import head_would_be_replaced

        head = self.cluster.snapshot.head
        if head is not None and head.id == node_id and not self.on_head:
            raise head_would_be_replaced(self.cluster, head)
        self.terminate_nodes([node_id])

    @_plain_errors
    def terminate_nodes(self, node_ids: list[str]) -> None:
        """End nodes. With the head among them the whole cluster ends, also what no listing has shown yet.

        On the head itself, the head is left alone: ending a cluster is for `ray down`, not for the autoscaler.
        """
        if self.on_head:
            self._judge_set_ups(node_ids)
        head = self.cluster.snapshot.head
        if head is None or head.id not in node_ids:
            self.cluster.terminate(node_ids)
        elif self.on_head:
            logger.error("Ray's autoscaler asked for the end of the head (%s), which only `ray down` may", head.id)
            self.cluster.terminate([node_id for node_id in node_ids if node_id != head.id])
        else:
            self._request_end()

    def _judge_set_ups(self, node_ids: list[str]) -> None:
        """Tell nodes that Ray ends because its updater has failed on them from those that are not needed any more."""
        known = self.cluster.snapshot.nodes
        failed = [
            known[node_id]
            for node_id in node_ids
            if node_id in known and self.node_tags(node_id).get(TAG_RAY_NODE_STATUS) == STATUS_UPDATE_FAILED
        ]
        self.parts.supervisor.set_up_failed(failed)

    def _request_end(self) -> None:
        from yellowdog_ray.commands.teardown import request_end

        work = self.cluster.find()
        if work is not None:
            request_end(self.cluster.platform, work)
        self._asked_to_end = True

    def cleanup_cluster_resources(self) -> None:
        """The end of `ray down`: wait until the platform shows nothing alive, and say so."""
        from yellowdog_ray.commands.teardown import dismantle

        progress = Progress()
        try:
            work = self._youngest_incarnation()
            if work is not None:
                dismantle(self.cluster.platform, work, progress, self.cluster.clock)
                self.cluster.forget()
        except RayDogError as error:
            self._fail(error)
        finally:
            self.parts.close_tunnel()
        progress.done(f"nothing is left of cluster '{self.cluster_name}' on YellowDog")

    def _youngest_incarnation(self) -> WorkRequirementView | None:
        """What is to be taken down: the living incarnation, or the last one in case its pools outlived it."""
        from yellowdog_ray.commands.up import require_ours

        work = self.cluster.platform.find_work_requirement(self.cluster_name, finished=True)
        if work is not None:
            require_ours(self.cluster, work)
        return work

    def _fail(self, error: RayDogError) -> NoReturn:
        """End the command: Ray only warns of exceptions at this point, and would report success."""
        cli_logger.error("{}", str(error))
        raise SystemExit(1) from error

    # The head's set-up

    @_plain_errors
    def prepare_for_head_node(self, cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Wait for the head, hand it the API key and the user's files, and make the configuration fit to live there."""
        from yellowdog_ray.commands import versions
        from yellowdog_ray.commands.deliver import deliver
        from yellowdog_ray.commands.wait import wait_until_reachable

        if not self._made_head:
            self._check_changes()
        ssh = self.parts.ssh()
        if ssh is None:
            raise SshError(f"cluster '{self.cluster_name}': no auth section says how the head is reached")
        progress = Progress()
        try:
            with ThreadPoolExecutor(1) as beside:
                beside.submit(self.parts.tag_store.prepare)
                target = wait_until_reachable(self.cluster, ssh, progress)
                theirs = beside.submit(versions.on, target)
                deliver(target, load_credentials(), self.parts.settings)
            warning = versions.difference(versions.here(), theirs.result())
        except HeadError as error:
            self._give_up_head(progress, error)
            raise
        self.parts.ssh_failure = None
        if warning is not None:
            cli_logger.warning("{}", warning)
        progress.done(f"the head is reachable at {target.host}")
        return for_the_head(cluster_config)

    def _check_changes(self) -> None:
        """Refuse what a cluster that runs cannot take on, before anything is sent to its head."""
        from yellowdog_ray.commands.reconfigure import check_changes
        from yellowdog_ray.commands.up import check_platform

        check_platform(self.cluster, Progress())
        for warning in check_changes(self.cluster, v2=wants_v2()):
            cli_logger.warning("{}", warning)

    def _give_up_head(self, progress: Progress, reason: HeadError) -> None:
        """Remove what this very command has made; a cluster that was there before stays as it is."""
        if not self._made_head:
            return
        from yellowdog_ray.commands.teardown import dismantle

        progress.say("the head did not come up: removing what was made")
        try:
            work = self.cluster.find()
            if work is not None:
                dismantle(self.cluster.platform, work, progress, self.cluster.clock)
        except RayDogError as error:
            raise HeadError(f"{reason}. What was made could not be removed: run `ray down`. {error}") from error

    def get_command_runner(self, log_prefix: str, node_id: str, *arguments: Any, **options: Any) -> Any:
        """Ray's own way to run commands on a node; from a user's machine, only if the node can be reached at all.

        Raises:
            click.ClickException: it cannot. Ray would wait two minutes and then show what OpenSSH says.
        """
        if not self.on_head:
            if ends_the_cluster():
                return StopsRay(self._request_end)
            self._knock(node_id)
        runner = super().get_command_runner(log_prefix, node_id, *arguments, **options)
        return self.parts.setups.watch(runner, node_id) if self.on_head else runner

    def _knock(self, node_id: str) -> None:
        failure = self.parts.ssh_failure
        if isinstance(failure, HostKeyChanged):
            raise click.ClickException(str(failure))
        ssh, node = self.parts.ssh(), self._node(node_id)
        target = ssh.target(node) if ssh else None
        if ssh is None or node is None or target is None:
            return
        if target.proxy_command:
            silent, how = failure is not None, f"through auth.ssh_proxy_command ({failure})"
        else:
            silent, how = not answers(target.host, _KNOCK_SECONDS), f"port {SSH_PORT}"
        if not silent:
            return
        hint = " That address is private: is auth.ssh_proxy_command missing?" if ssh.is_private(node) else ""
        raise click.ClickException(
            f"cluster '{self.cluster_name}': node {node_id} does not answer at {target.host}, {how}.{hint} The cluster "
            "goes on without this machine: look at the network and firewall between them. `ray get-head-ip`, "
            "`ray get-worker-ips` and `ray down` work all the same"
        )

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        """Merge tags into a node's."""
        if not self.parts.tag_store.set(node_id, tags) and tags.get(TAG_RAY_NODE_STATUS) == STATUS_UP_TO_DATE:
            cli_logger.warning(
                "The tag server on the head does not answer on port {}: does ray_head_node_task_script start it?",
                str(self.parts.settings.head_node_tag_server_port),
            )

    # Reading

    def _read(self) -> Snapshot:
        if self._asked_to_end:
            # Ray would look again and again, 5 s apart; `cleanup_cluster_resources` waits for the end.
            return Snapshot()
        if not self.on_head:
            drop_cached_config(self.provider_config)
        elif (settings := self.parts.head_file.news()) is not None:
            self.parts.change(settings)
        if self.on_head and not self.parts.pace.nodes_are_due(settled=self._settled):
            if self.parts.pace.notices_are_due():
                self._supervise(self.cluster.snapshot)
            return self.cluster.snapshot
        before = self.cluster.snapshot
        try:
            snapshot = self.cluster.refresh()
        except PlatformError as error:
            if not (self.on_head and self.cluster.snapshot.nodes):
                raise
            self._outage.goes_on(error)
            return self.cluster.snapshot
        self._outage.over()
        self._read_tags(snapshot)
        if not self.on_head:
            return snapshot
        self._supervise(snapshot)
        self.parts.pace.nodes_read(changed=snapshot is not before or not self._settled)
        return self.cluster.snapshot

    @property
    def _settled(self) -> bool:
        """Whether no node comes or goes."""
        return self.cluster.settled and self.parts.supervisor.settled

    def _supervise(self, snapshot: Snapshot) -> None:
        self.parts.supervisor.tick(snapshot)
        self.parts.pace.notices_read()

    def _read_tags(self, snapshot: Snapshot) -> None:
        head = snapshot.head
        if head is None or head.phase is not Phase.RUNNING or head.private_ip is None:
            return
        if self.on_head:
            self.parts.tag_store.refresh()
            self.parts.tag_store.keep(snapshot.nodes.keys() | self._listed.keys())
            return
        if not ends_the_cluster() and (self.parts.tag_store.refresh() or self.parts.tag_store.get(head.id)):
            return
        # Nobody here knows better than the platform, and the platform says that the head runs: `ray get-head-ip` and
        # `ray down` must work when SSH does not.
        self.parts.tag_store.remember(head.id, {TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE})

    def _node(self, node_id: str) -> ClusterNode | None:
        """A node of the present snapshot, or of the last listing if it has been ended since."""
        return self.cluster.snapshot.nodes.get(node_id) or self._listed.get(node_id)

    def _node_config(self, node_config: dict[str, Any], tags: Mapping[str, str]) -> NodeConfig:
        path = f"available_node_types.{tags.get(TAG_RAY_USER_NODE_TYPE, '')}.node_config"
        return parse_node_config(node_config, self.parts.settings.internal.source, path)


def for_the_head(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as the head needs it: no path of the laptop's, and no way through the laptop's proxies.

    Ray has put `setup_commands` before those of head and workers, and on the head it would do so once more.
    """
    provider = dict(config["provider"])
    provider.pop("_config_cache_path", None)
    provider["auth"] = {"ssh_user": config["auth"]["ssh_user"], "ssh_private_key": _REMOTE_KEY}
    auth = {key: value for key, value in config["auth"].items() if key != "ssh_public_key"}
    return {**config, "provider": provider, "auth": auth, "setup_commands": []}
