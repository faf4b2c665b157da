"""A subnet of 127.0.0.0/8 for each platform, an address for each host, and the check of port 22."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from yellowdog_local.hosts import loopback
from yellowdog_local.hosts.loopback import Loopback, LoopbackError, check_ssh_port


@pytest.fixture
def piece() -> Iterator[Loopback]:
    made = Loopback.claim("/a/directory/of/this/test")
    yield made
    made.close()


def test_claim_returns_the_same_network_for_the_same_owner(piece: Loopback) -> None:
    before = piece.network
    piece.close()
    again = Loopback.claim("/a/directory/of/this/test")

    assert again.network == before
    assert again.gateway.startswith("127.")
    again.close()


def test_claim_skips_a_network_in_use(piece: Loopback) -> None:
    other = Loopback.claim("/a/directory/of/this/test")

    assert not other.network.overlaps(piece.network)
    other.close()


def test_claim_excludes_the_network_of_the_machines_services(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [subnet for subnet in loopback._SUBNETS if str(subnet).startswith("127.0.")]


def test_reserve_reuses_a_released_address_last(piece: Loopback) -> None:
    first = piece.reserve()
    piece.release(first)
    second = piece.reserve()

    assert (first.number, second.number) == (2, 3)
    assert {first.address, second.address}.isdisjoint({piece.gateway})


def test_reserve_fails_without_a_free_address(piece: Loopback) -> None:
    leases = [piece.reserve() for _ in range(4093)]
    with pytest.raises(LoopbackError, match="all 4093 addresses"):
        piece.reserve()
    piece.release(leases[100])

    assert piece.reserve() == leases[100]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, r"may not listen on port 22.*ip_unprivileged_port_start=22"),
        (errno.EADDRINUSE, r"listens on port 22 on all addresses.*ListenAddress"),
        (errno.EADDRNOTAVAIL, r"cannot be used: Cannot assign"),
    ],
)
def test_ssh_port_check_gives_the_reason(monkeypatch: pytest.MonkeyPatch, number: int, message: str) -> None:
    class Refusing(loopback.socket.socket):
        def bind(self, _address: object) -> None:
            raise OSError(number, {errno.EADDRNOTAVAIL: "Cannot assign requested address"}.get(number, "no"))

    monkeypatch.setattr(loopback.socket, "socket", Refusing)
    with pytest.raises(LoopbackError, match=message):
        check_ssh_port()
