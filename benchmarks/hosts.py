"""Which hosts a measured platform has: simulated ones, real ones, or a real head with simulated workers."""

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
    """Hosts, the address at which they reach the platform, and what opens those that are real."""

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
        """Hand on the way to the platform."""
        self._simulated.use_agents(agents)

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Begin to boot a host."""
        if self._head is None:
            self._head = request.instance_id
            self._real.create(request, listener)
        else:
            self._simulated.create(request, listener)

    def destroy(self, instance_id: str) -> None:
        """Switch a host off."""
        (self._real if instance_id == self._head else self._simulated).destroy(instance_id)

    def close(self) -> None:
        """End every host."""
        self._simulated.close()
        self._real.close()


@contextmanager
def backend(kind: Kind, folder: Path) -> Iterator[Backend]:
    """Hosts of a kind; real ones are namespace hosts, and need root."""
    if kind == "simulated":
        yield Backend(SimulatedHosts(), LOOPBACK, None, None)
        return
    key = folder / "id_ed25519"
    make_key(key, "raydog-bench")
    real = NamespaceHosts(folder / "hosts", key.with_suffix(".pub").read_text(encoding="utf-8"))
    real.open()
    try:
        yield Backend(real if kind == "real" else RealHeadHosts(real), real.gateway, key, real)
    finally:
        real.close()
