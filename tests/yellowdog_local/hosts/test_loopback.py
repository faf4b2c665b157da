"""Every platform has a piece of 127.0.0.0/8 for itself, every host an address, and port 22 is asked for beforehand."""

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


def test_a_platform_has_the_same_addresses_every_time(piece: Loopback) -> None:
    before = piece.network
    piece.close()
    again = Loopback.claim("/a/directory/of/this/test")

    assert again.network == before
    assert again.gateway.startswith("127.")
    again.close()


def test_a_piece_that_is_taken_is_not_given_again(piece: Loopback) -> None:
    other = Loopback.claim("/a/directory/of/this/test")

    assert not other.network.overlaps(piece.network)
    other.close()


def test_nobody_gets_addresses_where_the_machines_own_services_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [piece for piece in loopback._PIECES if str(piece).startswith("127.0.")]


def test_an_address_that_was_given_back_is_the_last_to_be_given_again(piece: Loopback) -> None:
    first = piece.reserve()
    piece.release(first)
    second = piece.reserve()

    assert (first.number, second.number) == (2, 3)
    assert {first.address, second.address}.isdisjoint({piece.gateway})


def test_when_all_addresses_are_taken_that_is_said(piece: Loopback) -> None:
    leases = [piece.reserve() for _ in range(4093)]
    with pytest.raises(LoopbackError, match="all 4093 addresses"):
        piece.reserve()
    piece.release(leases[100])

    assert piece.reserve() == leases[100]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, r"may not listen on port 22.*ip_unprivileged_port_start=22"),
        (errno.EADDRINUSE, r"listens on port 22 on all addresses.*ListenAddress"),
        (errno.EADDRNOTAVAIL, r"cannot be used: Cannot assign"),
    ],
)
def test_why_port_22_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    class Refusing(loopback.socket.socket):
        def bind(self, _address: object) -> None:
            raise OSError(number, {errno.EADDRNOTAVAIL: "Cannot assign requested address"}.get(number, "no"))

    monkeypatch.setattr(loopback.socket, "socket", Refusing)
    with pytest.raises(LoopbackError, match=said):
        check_ssh_port()
