"""The contract between the platform and the machines that stand in for its instances.

A backend makes and destroys hosts; it knows nothing of pools, tasks or requirements. The platform knows nothing of
namespaces or processes. What runs *on* a host reaches the platform through an agent session (see `agents.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SIMULATED = "simulated"
"""The kind of hosts that have no process and live on the platform's clock alone."""


@dataclass(frozen=True)
class HostRequest:
    """One instance that is to be made.

    Attributes:
        instance_id: the instance's id, unique for the platform's life, safe in file and host names.
        agent_token: what the host's agent shows when it registers; known to this host alone.
        user_data: a script run as root at boot, before the agent starts, or None.
        instance_type: the source's instance type, for example `sim-instance`.
        provider: the cloud provider's name that the agent reports, or an empty string.
        region: the source's region.
        boot_seconds: how long after the request the instance counts as running, at the earliest (seconds).
    """

    instance_id: str
    agent_token: str
    user_data: str | None
    instance_type: str
    provider: str
    region: str
    boot_seconds: float


@dataclass(frozen=True)
class HostAddress:
    """Where a running host can be reached."""

    hostname: str
    private_ip: str
    public_ip: str


@dataclass(frozen=True)
class HostTraits:
    """What hosts of one kind can do.

    Attributes:
        runs_tasks: a task is a real process; otherwise nothing runs.
        own_network: a host has all ports to itself, and a cable that can be pulled.
        own_processes: a host sees its own processes only, under numbers of its own.
        own_files: what a host writes anywhere stays on that host; otherwise only its home and its temporary
            directory are its own.
    """

    runs_tasks: bool
    own_network: bool
    own_processes: bool
    own_files: bool

    def as_json(self) -> dict[str, bool]:
        """As programs read it."""
        return {
            "runsTasks": self.runs_tasks,
            "ownNetwork": self.own_network,
            "ownProcesses": self.own_processes,
            "ownFiles": self.own_files,
        }


class HostListener(Protocol):
    """What the platform wants to hear from a backend. May be called from any thread."""

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        """The host has booted; its agent will register by itself."""

    def host_gone(self, instance_id: str, reason: str) -> None:
        """The host has ended: destroyed, or lost by itself (then `reason` says how). Told once per host."""


class HostBackend(Protocol):
    """Makes hosts of one kind. Every method returns at once; what follows is told to the listener."""

    kind: str

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Begin to boot a host."""

    def destroy(self, instance_id: str) -> None:
        """Switch a host off, as a power cut would. An unknown or ended host is not an error."""

    def close(self) -> None:
        """End every host and wait until nothing of them is left on the machine."""
