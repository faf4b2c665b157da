"""The duties of a provider wherever it runs: answers from the last listing, mutable tags, launches.

`commands.laptop_side` and `monitor.head_side` add the duties of the user's machine and of the head. `wiring` chooses
between them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler.tags import STATUS_UP_TO_DATE, TAG_RAY_NODE_STATUS

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.journal import Note, note_nothing
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.config.models import ProviderSettings, parse_provider
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.lazy import HasLazyParts, lazy
from yellowdog_ray.remote.tags import TagStore

if TYPE_CHECKING:
    from yellowdog_ray.cluster.cluster import Cluster, Identity
    from yellowdog_ray.cluster.executors import Executor
    from yellowdog_ray.cluster.launch import Launcher
    from yellowdog_ray.platform.client import Platform
    from yellowdog_ray.platform.retry import RetryPolicy


class Side(HasLazyParts, ABC):
    """One process that works on one cluster. Thread-safe.

    The constructor only stores its arguments. Parts, and the SDK, load at first use, because most `ray` commands need
    few of them.

    Args:
        provider_config: the YAML's `provider` section.
        cluster_name: the YAML's `cluster_name`.
        source: the YAML's name, for messages.
        clock: time.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str, source: str, clock: Clock) -> None:
        super().__init__()
        self._provider_config = provider_config
        self._cluster_name = cluster_name
        self._source = source
        self._clock = clock
        self._listed: Mapping[str, ClusterNode] = {}

    # Parts

    @lazy
    def settings(self) -> LiveSettings:
        """The settings in force. Raises `ConfigError` when the `provider` section cannot be used."""
        return LiveSettings(self._parse_settings())

    def _parse_settings(self) -> ProviderSettings:
        return parse_provider(self._provider_config, self._source)

    @lazy
    def platform(self) -> Platform:
        """The platform client. No call."""
        from yellowdog_ray.platform.client import Platform

        return Platform(load_credentials(), self.settings.current.cluster_namespace, self._retry_policy(), self._clock)

    @lazy
    def cluster(self) -> Cluster:
        """The cluster on the platform."""
        return self._make_cluster()

    @lazy
    def launcher(self) -> Launcher:
        """Launches workers."""
        from yellowdog_ray.cluster.launch import Launcher

        return Launcher(self.cluster, self.platform, self.settings, self.platform.clock, self._admit, self._note)

    @lazy
    def tag_store(self) -> TagStore:
        """The tag store on the head."""
        return self._make_tag_store()

    @property
    def _note(self) -> Note:
        """Receives the decisions that are to be published."""
        return note_nothing

    def _admit(self, node_id: str) -> Mapping[str, str]:
        """The variables that let a worker join a cluster with Ray's token authentication."""
        return {}

    @abstractmethod
    def _retry_policy(self) -> RetryPolicy:
        """How long platform calls are retried."""

    @abstractmethod
    def _make_cluster(self) -> Cluster:
        """The cluster as this side reads it."""

    @abstractmethod
    def _make_tag_store(self) -> TagStore:
        """The tag store as this side reaches it."""

    def _cluster_of(self, identity: Identity, executor: Executor, *, adopts: bool) -> Cluster:
        from yellowdog_ray.cluster.cluster import Cluster
        from yellowdog_ray.cluster.terminator import Terminator

        terminator = Terminator(self.platform, executor, self._clock.monotonic, adopts=adopts)
        return Cluster(identity, self.platform, terminator, self._clock, lambda: self.settings.current.lifetime)

    # Listing

    @abstractmethod
    def _read(self) -> Snapshot:
        """The cluster's nodes, by a fresh reading if one is due."""

    def list_nodes(self, tag_filters: Mapping[str, str]) -> list[str]:
        """Ids of the nodes whose tags include all of these.

        Raises:
            RayDogError: the platform could not be read, and no earlier listing stands in.
        """
        snapshot = self._read()
        self._listed = snapshot.nodes
        if not tag_filters:
            return list(snapshot.nodes)
        wanted = tag_filters.items()
        return [node_id for node_id in snapshot.nodes if wanted <= self.node_tags(node_id).items()]

    def safe_to_scale(self) -> bool:
        """Whether Ray may decide on this tick."""
        return True

    # Answers from the last listing

    def node(self, node_id: str) -> ClusterNode | None:
        """A node of the present snapshot, or of the last listing if it has been terminated since."""
        return self.cluster.snapshot.nodes.get(node_id) or self._listed.get(node_id)

    def node_tags(self, node_id: str) -> dict[str, str]:
        """A node's tags: those it was created with, and what has changed since. Empty for an unknown node."""
        node = self.node(node_id)
        return {**node.tags, **self.tag_store.get(node_id)} if node else {}

    def is_running(self, node_id: str) -> bool:
        """Whether the node's task runs."""
        node = self.node(node_id)
        return node is not None and node.phase is Phase.RUNNING

    def is_terminated(self, node_id: str) -> bool:
        """Whether the node is gone."""
        return node_id not in self.cluster.snapshot.nodes

    def internal_ip(self, node_id: str) -> str | None:
        """The address that Ray nodes use among themselves; None while unknown."""
        node = self.node(node_id)
        return node.private_ip if node else None

    def external_ip(self, node_id: str) -> str | None:
        """The address for the outside; where a node has none, the internal one. None while unknown."""
        node = self.node(node_id)
        return (node.public_ip or node.private_ip) if node else None

    # Acts

    def launch_failed(self) -> None:
        """Note that Ray has a failed launch."""

    @abstractmethod
    def create_head(self, node_config: NodeConfig, tags: Mapping[str, str]) -> None:
        """Create the cluster with its head."""

    @abstractmethod
    def terminate_node(self, node_id: str) -> None:
        """Terminate one node."""

    @abstractmethod
    def terminate_nodes(self, node_ids: list[str]) -> None:
        """Terminate nodes."""

    @abstractmethod
    def tear_down(self) -> None:
        """End the whole cluster, and wait until the platform shows nothing alive."""

    @abstractmethod
    def prepare_head(self, cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Get the head ready for Ray. Returns the configuration that it is to have."""

    @abstractmethod
    def command_runner(self, node_id: str, make: Callable[[], Any]) -> Any:
        """Ray's way to run commands on a node.

        Args:
            node_id: the node.
            make: makes Ray's own command runner for it.
        """

    @abstractmethod
    def translate(self, error: RayDogError) -> Exception | None:
        """The exception by which an error is to be reported from here; None for the error itself."""

    def set_tags(self, node_id: str, tags: Mapping[str, str]) -> None:
        """Merge tags into a node's; warn if the tag store does not answer when a node is ready."""
        if self.tag_store.set(node_id, tags) or tags.get(TAG_RAY_NODE_STATUS) != STATUS_UP_TO_DATE:
            return
        port = str(self.settings.current.head_node_tag_server_port)
        if refusal := self.tag_store.refusal:
            cli_logger.warning(
                "The tag server on the head, port {}, refuses RayDog's tags ({}). Let ray_head_node_task_script start "
                "it without a password, and let no other program use its keys",
                port,
                refusal,
            )
        else:
            cli_logger.warning(
                "The tag server on the head does not answer on port {}: let ray_head_node_task_script start it", port
            )
