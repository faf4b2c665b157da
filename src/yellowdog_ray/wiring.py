"""What the provider is made of, each part made at its first need.

Constructing does nothing, and the platform's SDK is imported at the first platform call: every `ray` command makes a
provider, and most of them need little of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from yellowdog_ray.cluster.snapshot import Phase
from yellowdog_ray.commands.context import yaml_file
from yellowdog_ray.config.models import ProviderSettings, parse_provider
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import SshError
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.polling import Pace
from yellowdog_ray.monitor.updater_steps import Setups
from yellowdog_ray.node import variables
from yellowdog_ray.platform.retry import RetryPolicy
from yellowdog_ray.remote.ssh import Tunnel
from yellowdog_ray.remote.tags import TagStore, TunnelledPort

if TYPE_CHECKING:
    from yellowdog_ray.cluster.cluster import Cluster
    from yellowdog_ray.cluster.launch import Growth
    from yellowdog_ray.commands.wait import SshSettings
    from yellowdog_ray.monitor.reload import HeadFile
    from yellowdog_ray.monitor.supervisor import Supervisor
    from yellowdog_ray.platform.client import Platform

T = TypeVar("T")

_RETRY_SECONDS = 30.0


class _Part(Generic[T]):
    """Made once, whichever thread needs it first. From then on it is a plain attribute: it is read often."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = ""

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, parts: Parts, _: type) -> T:
        with parts.lock:
            if self._name not in parts.__dict__:
                parts.__dict__[self._name] = self._make(parts)
            made: T = parts.__dict__[self._name]
            return made


class Parts:
    """The parts of one provider. Thread-safe.

    Args:
        provider_config: the YAML's `provider` section.
        cluster_name: the YAML's `cluster_name`.
        on_head: whether this runs inside the head's autoscaler.

    Attributes:
        ray_nodes: what Ray knows of the nodes.
        v1: whether this runs inside Ray's old autoscaler.
        ssh_failure: why there is no tunnel to the head, if the last attempt to open one has failed.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str, *, on_head: bool) -> None:
        self._provider_config = provider_config
        self._cluster_name = cluster_name
        self._on_head = on_head
        self.lock = threading.RLock()
        self.ray_nodes = RayNodes()
        self.v1 = on_head and os.environ.get(variables.AUTOSCALER_V2) != "1"
        self.ssh_failure: SshError | None = None

    @_Part
    def settings(self) -> ProviderSettings:
        """The `provider` section. Raises `ConfigError` when it cannot be used."""
        return parse_provider(self._provider_config, yaml_file()[0])

    @_Part
    def cluster(self) -> Cluster:
        """The cluster on the platform."""
        from yellowdog_ray.cluster.cluster import Cluster

        pinned = os.environ.get(variables.WORK_REQUIREMENT_ID) if self._on_head else None
        return Cluster(self._cluster_name, self.settings, self._connect, pinned=pinned, on_head=self._on_head)

    @_Part
    def growth(self) -> Growth:
        """How the cluster gets workers."""
        from yellowdog_ray.cluster.launch import Growth

        return Growth(self.cluster)

    @_Part
    def supervisor(self) -> Supervisor:
        """What is seen to at every tick on the head."""
        from yellowdog_ray.monitor.supervisor import Supervisor

        return Supervisor(self.cluster, self.growth, self.ray_nodes, self.setups, v2=not self.v1)

    @_Part
    def setups(self) -> Setups:
        """What Ray's updaters do to the workers."""
        return Setups(self.cluster.clock.monotonic)

    @_Part
    def pace(self) -> Pace:
        """How often the head reads the platform."""
        return Pace(self.cluster.clock.monotonic)

    @_Part
    def head_file(self) -> HeadFile:
        """By which another `ray up` tells the head of changes."""
        from yellowdog_ray.monitor.reload import HeadFile

        return HeadFile(self._cluster_name)

    @_Part
    def tag_store(self) -> TagStore:
        """The head's tag store: on the head by loopback, elsewhere through SSH."""
        port = self.settings.head_node_tag_server_port
        connect = (lambda: port) if self._on_head else TunnelledPort(self._open_tunnel)
        return TagStore(self._cluster_name, connect, restores=self._on_head)

    def close_tunnel(self) -> None:
        """Leave the tag store, if it was needed at all."""
        if "tag_store" in self.__dict__:
            self.tag_store.close()

    def change(self, settings: ProviderSettings) -> None:
        """Go on with other settings."""
        self.__dict__["settings"] = self.cluster.settings = settings

    def ssh(self) -> SshSettings | None:
        """How the head is reached, if the YAML says so."""
        from yellowdog_ray.commands.wait import SshSettings

        auth = self.settings.auth
        if auth is None or auth.ssh_private_key is None:
            return None
        internal = self._provider_config.get("use_internal_ips", False)
        outside = self._provider_config.get("use_external_head_ip", False)
        return SshSettings(
            auth.ssh_user,
            auth.ssh_private_key,
            auth.ssh_proxy_command,
            use_private_ip=internal and not outside,
            use_node_id=auth.ssh_proxy_use_node_id,
        )

    def _connect(self) -> Platform:
        from yellowdog_ray.platform.client import Platform

        policy = RetryPolicy() if self._on_head else RetryPolicy(_RETRY_SECONDS)
        return Platform(load_credentials(), self.settings.cluster_namespace, policy)

    def _open_tunnel(self) -> Tunnel:
        ssh = self.ssh()
        head = self.cluster.snapshot.head
        target = ssh.target(head) if ssh and head and head.phase is Phase.RUNNING else None
        if target is None:
            raise SshError("the head cannot be reached by SSH yet")
        self.ssh_failure = None
        try:
            return Tunnel(target, self.settings.head_node_tag_server_port)
        except SshError as error:
            self.ssh_failure = error
            raise
