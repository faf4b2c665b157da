"""The addresses of process hosts: a subnet of 127.0.0.0/8 per platform, an address per host. Imports no hosts.

Every user may use all of 127.0.0.0/8 without configuration. A platform claims its subnet by binding a socket in the
kernel's abstract namespace; the kernel releases it however the platform ends.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

SSH_PORT = 22
_WHOLE = ipaddress.IPv4Network("127.0.0.0/8")
_PREFIX_LENGTH = 20  # 4093 hosts, as on a bridge
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
# Without 127.0.0.0/16, the addresses of the machine's services: 127.0.0.1, 127.0.0.53, 127.0.1.1.
_SUBNETS = [subnet for subnet in _WHOLE.subnets(new_prefix=_PREFIX_LENGTH) if subnet.network_address.packed[1] != 0]


class LoopbackError(Exception):
    """The machine's loopback addresses cannot be used; the message names the reason and the remedy."""


@dataclass(frozen=True)
class Lease:
    """One host's address.

    Attributes:
        number: its number on the platform, from 2; 1 is the platform's own.
        address: its address.
    """

    number: int
    address: str


class Loopback:
    """One platform's subnet of the loopback addresses: taken by `claim`, released by `close`."""

    def __init__(self, network: ipaddress.IPv4Network, claim: socket.socket) -> None:
        self.network = network
        self.gateway = str(network[1])
        self._claim = claim
        self._lock = threading.Lock()
        self._taken: set[int] = set()
        self._last = 1

    @classmethod
    def claim(cls, owner: str) -> Loopback:
        """Take a subnet that no other platform has; one owner gets the same subnet each time, if it is free.

        Raises:
            LoopbackError: all subnets are taken.
        """
        first = int.from_bytes(hashlib.sha256(owner.encode()).digest()[:4], "big")
        for step in range(len(_SUBNETS)):
            network = _SUBNETS[(first + step) % len(_SUBNETS)]
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0raydog-{network}")
            except OSError:
                claim.close()
            else:
                return cls(network, claim)
        raise LoopbackError("every subnet of 127.0.0.0/8 is taken by a local platform: stop one of them")

    def reserve(self) -> Lease:
        """Take the next free address upward, so that an ended host's address is reused last.

        Raises:
            LoopbackError: every address is taken.
        """
        with self._lock:
            size = self.network.num_addresses
            for _ in range(size):
                self._last = self._last + 1 if self._last < size - 2 else 2
                if self._last not in self._taken:
                    self._taken.add(self._last)
                    return Lease(self._last, str(self.network[self._last]))
        raise LoopbackError(f"all {size - 3} addresses of {self.network} are taken by hosts")

    def release(self, lease: Lease) -> None:
        """Free an address."""
        with self._lock:
            self._taken.discard(lease.number)

    def close(self) -> None:
        """Release the subnet."""
        self._claim.close()


def check_ssh_port() -> None:
    """Check that hosts can listen on the SSH port.

    Raises:
        LoopbackError: they cannot; the message names the remedy.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(_SUBNETS[0][1]), SSH_PORT))
            probe.listen()
        except PermissionError as error:
            raise LoopbackError(
                f"this user may not listen on port {SSH_PORT}, the port of each host's SSH server. Run the same "
                f"command as root, or let all users use low ports (as root: `sysctl net.ipv4.ip_unprivileged_port_start"
                f"={SSH_PORT}`; it is {_unprivileged_start()} now; in a container: `docker run --sysctl ...`)"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LoopbackError(
                    f"a program of this machine listens on port {SSH_PORT} on all addresses, so no host's SSH server "
                    f"can. Stop it, or let it listen on single addresses (for OpenSSH: ListenAddress in sshd_config)"
                ) from error
            raise LoopbackError(f"port {SSH_PORT} of {_SUBNETS[0][1]} cannot be used: {error.strerror}") from error


def _unprivileged_start() -> str:
    try:
        return _UNPRIVILEGED.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
