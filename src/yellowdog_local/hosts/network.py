"""The hosts' network: one bridge per platform, one cable (veth pair) per host. Runs `ip`; imports nothing of hosts.

The bridge is all that the kernel keeps of a killed platform. Its alias is the data directory's path, so that the next
start or stop of the same platform finds and removes it. A cable ends with its host's network namespace.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BRIDGE_PREFIX = "raydog"
# Each platform takes one /20 (4093 hosts). The second range is reserved for benchmarks. It serves machines whose routes
# cover the first range, for example a company network on 10.0.0.0/8.
RANGES = (ipaddress.IPv4Network("10.207.0.0/16"), ipaddress.IPv4Network("198.18.0.0/16"))
PREFIX_LENGTH = 20
BRIDGES_PER_RANGE = 2 ** (PREFIX_LENGTH - 16)
_ALIAS_LIMIT = 200  # bytes; the kernel allows 255
# A batch line is split at blanks, and has quotes, escapes and comments.
_NOT_IN_ALIAS = re.compile(r"[^\w/.,:+@%=~-]")


class NetworkError(Exception):
    """A change of the machine's network failed; the message is that of `ip`."""


@dataclass(frozen=True)
class Cable:
    """One host's connection to the bridge.

    Attributes:
        name: the interface on the bridge's side.
        address: the host's address.
    """

    name: str
    address: str


class Bridge:
    """The network segment of one platform: created by `open`, removed by `close`."""

    def __init__(self, name: str, network: ipaddress.IPv4Network) -> None:
        self.name = name
        self.network = network
        self.gateway = str(network[1])
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}
        self._last = 1
        self._is_closed = False

    @classmethod
    def open(cls, owner: str) -> Bridge:
        """Create a bridge with a free name and subnet, and `owner` as its alias.

        Raises:
            NetworkError: no bridge could be created; the message says why.
        """
        for index in range(BRIDGES_PER_RANGE):
            network = _free_network(index)
            if network is None:
                continue
            bridge = cls(f"{BRIDGE_PREFIX}{index}", network)
            # Of platforms that start at once, only one can add a link of this name.
            if bridge._create(owner):
                return bridge
        raise NetworkError(
            f"no free subnet for the hosts: all of {', '.join(map(str, RANGES))} is in use on this machine. "
            f"`ip -brief link` lists bridges; `raydog local stop` removes the bridge of its own platform"
        )

    def _create(self, owner: str) -> bool:
        # A fixed hardware address. Otherwise a bridge takes its ports' lowest address. Each host that starts or ends
        # would then make the others' address tables wrong for a while.
        try:
            run_ip([f"link add {self.name} address {hardware_address(self.gateway)} type bridge"])
        except NetworkError as error:
            if "File exists" in str(error):
                return False
            raise
        try:
            self._set_up(owner)
        except BaseException:  # an interrupt too: without its alias, nothing finds the bridge
            self.close()
            raise
        return True

    def _set_up(self, owner: str) -> None:
        run_ip(
            [
                f"link set {self.name} alias {_alias(owner)}",
                f"link set {self.name} addrgenmode none",
                f"addr add {self.gateway}/{PREFIX_LENGTH} dev {self.name}",
                f"link set {self.name} up",
            ]
        )

    def reserve(self) -> Cable:
        """Take the next free address upward, so that an ended host's address is reused last.

        Raises:
            NetworkError: every address is taken.
        """
        with self._lock:
            size = self.network.num_addresses
            for _ in range(size):
                # Offsets 0, 1 and the last one are the network, the gateway and the broadcast address.
                self._last = self._last + 1 if self._last < size - 2 else 2
                address = str(self.network[self._last])
                if address not in self._taken:
                    self._taken[address] = self._last
                    return Cable(f"{self.name}h{self._last}", address)
        raise NetworkError(f"all {size - 3} addresses of {self.network} are taken by hosts")

    def plug_in(self, cable: Cable, process_id: int) -> None:
        """Connect the bridge to the network namespace of a process, as its eth0."""
        hardware = hardware_address(cable.address)
        run_ip(
            [
                f"link add {cable.name} type veth peer name eth0 address {hardware} netns {process_id}",
                f"link set {cable.name} addrgenmode none",
                f"link set {cable.name} master {self.name} up",
            ]
        )

    def set_carrier(self, cable: Cable, *, connected: bool) -> None:
        """Disconnect or connect the cable; without a carrier, packets are dropped silently."""
        run_ip([f"link set {cable.name} {'up' if connected else 'down'}"])

    def release(self, cable: Cable) -> None:
        """Remove the cable and free its address. A cable that does not exist is not an error."""
        remove_link(cable.name)
        with self._lock:
            self._taken.pop(cable.address, None)

    def close(self) -> None:
        """Remove the bridge, once: a bridge that has its name later is another platform's."""
        if not self._is_closed:
            remove_link(self.name)
            self._is_closed = True


def hardware_address(address: str) -> str:
    """A locally administered MAC address, derived from the IP address."""
    return "02:52:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


def bridges_of(owner: str) -> list[str]:
    """The bridges on this machine with the owner's alias."""
    alias = _alias(owner)
    candidates = sorted(Path("/sys/class/net").glob(f"{BRIDGE_PREFIX}*"))
    return [entry.name for entry in candidates if _alias_of(entry) == alias]


def remove_link(name: str) -> None:
    """Remove a network interface; one that does not exist is not an error.

    Raises:
        NetworkError: it exists and cannot be removed.
    """
    try:
        run_ip([f"link del {name}"])
    except NetworkError:
        if (Path("/sys/class/net") / name).exists():
            raise


def run_ip(commands: list[str]) -> None:
    """Run `ip` commands in one process, stopping at the first that fails.

    Raises:
        NetworkError: one has failed; the message is that of `ip`.
    """
    done = subprocess.run(
        ["ip", "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise NetworkError(f"`ip` failed on one of [{'; '.join(commands)}]: {reason}")


def _alias(owner: str) -> str:
    """The owner itself, or where `ip` or the kernel cannot take it, a readable part of it with its digest."""
    safe = _NOT_IN_ALIAS.sub("_", owner)
    if safe == owner and len(safe.encode()) <= _ALIAS_LIMIT:
        return safe
    digest = hashlib.sha256(os.fsencode(owner)).hexdigest()
    return f"{safe.encode()[: _ALIAS_LIMIT - len(digest) - 1].decode(errors='ignore')}-{digest}"


def _alias_of(entry: Path) -> str:
    try:
        return (entry / "ifalias").read_text("utf-8", "replace").strip()
    except OSError:  # the interface was removed meanwhile
        return ""


def _free_network(index: int) -> ipaddress.IPv4Network | None:
    used = _networks_in_use()
    for wide in RANGES:
        network = list(wide.subnets(new_prefix=PREFIX_LENGTH))[index]
        if not any(network.overlaps(other) for other in used):
            return network
    return None


def _networks_in_use() -> list[ipaddress.IPv4Network]:
    addresses = [info for link in _read_ip("addr", "show") for info in link.get("addr_info", [])]
    found = [f"{info['local']}/{info['prefixlen']}" for info in addresses if "local" in info]
    routes = [route.get("dst", "default") for route in _read_ip("route", "show", "table", "all")]
    found += [destination for destination in routes if destination != "default"]
    return [ipaddress.IPv4Network(text, strict=False) for text in found]


def _read_ip(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(["ip", "-4", "-j", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetworkError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    answer: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return answer
