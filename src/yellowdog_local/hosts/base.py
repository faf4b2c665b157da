"""The interface between the platform and the hosts of its instances.

A backend creates and destroys hosts, without pools, tasks or requirements. The platform uses no namespaces itself.
Programs *on* a host reach the platform through an agent session (see `agents.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SIMULATED = "simulated"
"""The kind of hosts without processes, which use the platform's clock alone."""


@dataclass(frozen=True)
class HostRequest:
    """The request for the host of one instance.

    Attributes:
        instance_id: the instance's id; unique for the platform, and valid in file and host names.
        agent_token: the token with which the host's agent registers; no other host has it.
        user_data: the script to run as root at boot, before the agent starts, or None.
        instance_type: the source's instance type, for example `sim-instance`.
        provider: the name of the cloud provider that the agent reports, or an empty string.
        region: the source's region.
        boot_seconds: minimum time from the request until the instance counts as running (seconds).
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
    """The name and addresses of a running host."""

    hostname: str
    private_ip: str
    public_ip: str


@dataclass(frozen=True)
class HostTraits:
    """The abilities of one kind of hosts.

    Attributes:
        runs_tasks: a task is a real process; otherwise there are no processes.
        own_network: a host has all ports to itself, and its network can be cut.
        own_processes: a host has only its own processes, with numbers of its own.
        own_files: all that a host writes stays on that host; otherwise only its home and its temporary
            directory do.
    """

    runs_tasks: bool
    own_network: bool
    own_processes: bool
    own_files: bool

    def as_json(self) -> dict[str, bool]:
        """The traits as JSON."""
        return {
            "runsTasks": self.runs_tasks,
            "ownNetwork": self.own_network,
            "ownProcesses": self.own_processes,
            "ownFiles": self.own_files,
        }


class HostListener(Protocol):
    """Receives the events of hosts. May be called from any thread."""

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        """The host has booted; its agent registers by itself."""

    def host_gone(self, instance_id: str, reason: str) -> None:
        """The host has ended, once per host: destroyed, or lost for this `reason`."""


class HostBackend(Protocol):
    """Creates hosts of one kind. Methods return at once; the listener receives the outcome."""

    kind: str

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Boot a host."""

    def destroy(self, instance_id: str) -> None:
        """Power a host off without a shutdown. An unknown or ended host is not an error."""

    def close(self) -> None:
        """Destroy all hosts and wait until nothing of them is left on the machine."""
