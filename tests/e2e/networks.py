"""A private network: hosts that this machine reaches by SSH through one of them only."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from tests.e2e.ray_cli import PlatformView, wait_until
from yellowdog_local.hosts.network import PREFIX_LENGTH

_EXCEPT, _BARRED = 20701, 20702  # preferences that nothing else on a machine is likely to have


@contextmanager
def jump_host(platform: PlatformView) -> Iterator[str]:
    """One more host on the platform's network, and no other way to the others' SSH. Gives its address."""
    with closing(platform.provision_host("jump")) as host:
        network = ipaddress.ip_network(f"{host.address}/{PREFIX_LENGTH}", strict=False)
        wait_until(lambda: _answers(host.address), "the jump host lets in by SSH")
        with _rule(f"to {host.address} pref {_EXCEPT} lookup main"), _rule(f"to {network} pref {_BARRED} blackhole"):
            yield host.address


@contextmanager
def _rule(rule: str) -> Iterator[None]:
    """A rule of the kernel's for SSH that begins on this machine; hosts reach one another over their bridge."""
    words = f"ipproto tcp dport 22 {rule}".split()
    subprocess.run(["ip", "rule", "add", *words], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "rule", "del", *words], check=True)


def _answers(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, 22), timeout=1):
        return True
    return False
