"""How the user's machine reaches the nodes of a cluster by SSH, and how it reports that it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from yellowdog_ray.cluster.snapshot import ClusterNode, Phase
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.errors import HostKeyChanged, SshError
from yellowdog_ray.remote.ssh import SSH_PORT, SshTarget, Tunnel, answers

PROBE_SECONDS = 10.0
"""How long a node's SSH port may take to answer before Ray is kept from trying for two minutes."""


@dataclass(frozen=True)
class SshSettings:
    """How this machine reaches the head: the YAML's `auth`, and which of the head's addresses to use."""

    user: str
    private_key: str
    proxy_command: str | None = None
    use_private_ip: bool = False
    use_node_id: bool = False

    def target(self, head: ClusterNode | None) -> SshTarget | None:
        """The SSH target of this head, or None while it has no address."""
        if head is None:
            return None
        address = head.private_ip if self.use_private_ip else head.public_ip or head.private_ip
        if address is None:
            return None
        host = head.id if self.use_node_id else address
        return SshTarget(self.user, host, self.private_key, head.id, self.proxy_command)

    def is_private(self, head: ClusterNode) -> bool:
        """Whether SSH connects directly to a private address of the head."""
        return not self.proxy_command and (self.use_private_ip or head.public_ip is None)

    def needs_route(self, head: ClusterNode) -> bool:
        """Whether it depends on this machine's network, or on the proxy command, that the head can be reached."""
        return bool(self.proxy_command) or self.is_private(head)


def ssh_settings(settings: ProviderSettings, provider_config: Mapping[str, Any]) -> SshSettings | None:
    """How the head is reached, if the YAML says so.

    Args:
        settings: RayDog's own keys of the `provider` section.
        provider_config: the whole section, with Ray's keys.
    """
    auth = settings.auth
    if auth is None or auth.ssh_private_key is None:
        return None
    internal = provider_config.get("use_internal_ips", False)
    outside = provider_config.get("use_external_head_ip", False)
    return SshSettings(
        auth.ssh_user,
        auth.ssh_private_key,
        auth.ssh_proxy_command,
        use_private_ip=internal and not outside,
        use_node_id=auth.ssh_proxy_use_node_id,
    )


class NodeAccess:
    """Opens SSH connections to nodes, and stores why the last tunnel to the head failed.

    Args:
        cluster_name: for messages.
        ssh: how nodes are reached, if the YAML says so.
        tag_port: the tag store's port on the head.
        head: gives the head as last listed.
    """

    def __init__(
        self, cluster_name: str, ssh: SshSettings | None, tag_port: int, head: Callable[[], ClusterNode | None]
    ) -> None:
        self.ssh = ssh
        self._cluster_name = cluster_name
        self._tag_port = tag_port
        self._head = head
        self._failure: SshError | None = None

    def succeeded(self) -> None:
        """Record that the head was reached."""
        self._failure = None

    def open_tunnel(self) -> Tunnel:
        """A tunnel to the head's tag store.

        Raises:
            SshError: the head does not run yet, has no address, or cannot be reached.
        """
        head = self._head()
        target = self.ssh.target(head) if self.ssh and head and head.phase is Phase.RUNNING else None
        if target is None:
            raise SshError("the head cannot be reached by SSH yet")
        self._failure = None
        try:
            return Tunnel(target, self._tag_port)
        except SshError as error:
            self._failure = error
            raise

    def check(self, node: ClusterNode | None) -> None:
        """Check whether a node can be reached at all.

        Raises:
            click.ClickException: it cannot. Ray would wait two minutes and then print what OpenSSH prints.
        """
        failure = self._failure
        if isinstance(failure, HostKeyChanged):
            raise click.ClickException(str(failure))
        target = self.ssh.target(node) if self.ssh else None
        if self.ssh is None or node is None or target is None:
            return
        if target.proxy_command:
            silent, how = failure is not None, f"through auth.ssh_proxy_command ({failure})"
        else:
            silent, how = not answers(target.host, PROBE_SECONDS), f"port {SSH_PORT}"
        if not silent:
            return
        hint = " That address is private: is auth.ssh_proxy_command missing?" if self.ssh.is_private(node) else ""
        raise click.ClickException(
            f"cluster '{self._cluster_name}': node {node.id} does not answer at {target.host}, {how}.{hint} The "
            "cluster runs without this machine: check the network and the firewall between them. `ray get-head-ip`, "
            "`ray get-worker-ips` and `ray down` work all the same"
        )
