"""Host backends of a measured platform: simulated, real, or a real head with simulated workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from yellowdog_local.agents import InProcessAgents
from yellowdog_local.hosts.base import HostBackend, HostListener, HostRequest
from yellowdog_local.hosts.namespace import NamespaceHosts
from yellowdog_local.hosts.real import make_key
from yellowdog_local.hosts.simulated import SimulatedHosts

Kind = Literal["simulated", "real", "real head"]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Backend:
    """Hosts, their address of the platform, and the SSH key of real hosts."""

    hosts: HostBackend
    gateway: str
    ssh_key: Path | None
    real: NamespaceHosts | None


class RealHeadHosts:
    """The first instance is a real host, all others are simulated."""

    kind = "real head"

    def __init__(self, real: NamespaceHosts) -> None:
        self._real = real
        self._simulated = SimulatedHosts()
        self._head: str | None = None
        self.traits = self._simulated.traits

    def use_agents(self, agents: InProcessAgents) -> None:
        """Connect the simulated hosts to the platform."""
        self._simulated.use_agents(agents)

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Start to boot a host."""
        if self._head is None:
            self._head = request.instance_id
            self._real.create(request, listener)
        else:
            self._simulated.create(request, listener)

    def destroy(self, instance_id: str) -> None:
        """Destroy a host."""
        (self._real if instance_id == self._head else self._simulated).destroy(instance_id)

    def close(self) -> None:
        """Destroy all hosts."""
        self._simulated.close()
        self._real.close()


@contextmanager
def backend(kind: Kind, directory: Path) -> Iterator[Backend]:
    """Hosts of one kind. Real hosts are namespace hosts and need root."""
    if kind == "simulated":
        yield Backend(SimulatedHosts(), LOOPBACK, None, None)
        return
    key = directory / "id_ed25519"
    make_key(key, "raydog-bench")
    real = NamespaceHosts(directory / "hosts", key.with_suffix(".pub").read_text(encoding="utf-8"))
    real.open()
    try:
        yield Backend(real if kind == "real" else RealHeadHosts(real), real.gateway, key, real)
    finally:
        real.close()
