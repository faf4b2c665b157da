"""The budget of a call: seconds and bytes of the whole of it, whatever single operations take."""

import socket
from types import SimpleNamespace

import pytest

from yellowdog_ray import budget as module
from yellowdog_ray.budget import BoundedSocket, Budget, TooLarge


@pytest.fixture
def clock(monkeypatch):
    """Time that a test moves."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def pair():
    """Two connected sockets: ours, and the peer's."""
    ours, peer = socket.socketpair()
    with ours, peer:
        yield ours, peer


def test_remaining_time_ends_with_the_call(clock):
    budget = Budget(5, 10)
    clock.now += 3
    assert budget.remaining() == 2
    clock.now += 2
    with pytest.raises(TimeoutError, match="within 5 s"):
        budget.remaining()

    budget.begin()
    assert budget.remaining() == 5


def test_bytes_of_all_operations_are_counted():
    budget = Budget(5, 10)
    budget.received(6)
    budget.received(4)
    with pytest.raises(TooLarge, match="exceeds 10 bytes"):
        budget.received(1)


@pytest.mark.parametrize(("timeout", "applied"), [(None, 5), (2, 2), (9, 5)])
def test_smaller_of_timeout_and_budget_is_applied(clock, pair, timeout, applied):
    ours, _ = pair
    bounded = BoundedSocket(ours, Budget(5, 10))
    bounded.settimeout(timeout)

    bounded.limit()

    assert ours.gettimeout() == applied


@pytest.mark.parametrize(
    "read",
    [
        lambda bounded: bounded.recv(11),
        lambda bounded: bounded.recv_into(bytearray(11)),
        lambda bounded: bounded.makefile("rb").read(11),
    ],
    ids=["recv", "recv_into", "makefile"],
)
def test_every_way_to_read_counts_bytes(pair, read):
    ours, peer = pair
    peer.sendall(b"x" * 11)

    with pytest.raises(TooLarge):
        read(BoundedSocket(ours, Budget(5, 10)))


def test_send_ends_at_the_budget(clock, pair):
    ours, peer = pair
    bounded = BoundedSocket(ours, Budget(5, 10))
    bounded.sendall(b"hello")
    assert peer.recv(9) == b"hello"

    clock.now += 5
    with pytest.raises(TimeoutError):
        bounded.sendall(b"more")
