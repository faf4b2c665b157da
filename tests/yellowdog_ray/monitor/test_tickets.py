"""Tickets: valid once, for one node, for a time; a restart changes none of that."""

import os
from pathlib import Path

import pytest

from yellowdog_ray.monitor.tickets import TicketRedeemedTwice, TicketRefused, Tickets

SECRET = b"s" * 32


class Now:
    """The time."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "redeemed"


@pytest.fixture
def tickets(ledger: Path, now: Now) -> Tickets:
    return Tickets(SECRET, ledger, now)


def test_ticket_is_redeemed_by_its_node(tickets):
    expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))

    tickets.redeem("worker-1", expiry, "nonce")


def test_ticket_of_another_node_is_refused(tickets):
    with pytest.raises(TicketRefused, match="not one of this cluster for this node"):
        tickets.verify("worker-2", tickets.issue("worker-1", 60))


def test_ticket_of_another_cluster_is_refused(tickets, tmp_path, now):
    other = Tickets(b"t" * 32, tmp_path / "other", now)

    with pytest.raises(TicketRefused, match="not one of this cluster"):
        tickets.verify("worker-1", other.issue("worker-1", 60))


def test_ticket_is_refused_once_it_has_expired(tickets, now):
    ticket = tickets.issue("worker-1", 60)
    now.seconds += 59
    tickets.verify("worker-1", ticket)

    now.seconds += 1

    with pytest.raises(TicketRefused, match="expired"):
        tickets.verify("worker-1", ticket)


def test_ticket_with_a_later_expiry_is_refused(tickets):
    expiry, _, code = tickets.issue("worker-1", 60).partition(".")

    with pytest.raises(TicketRefused, match="not one of this cluster"):
        tickets.verify("worker-1", f"{int(expiry) + 1}.{code}")


@pytest.mark.parametrize("ticket", ["", ".", "x.y", "²3.00", "9" * 5000, "1." + "é" * 64, "-1.0", f"{10**20}.aa"])
def test_garbage_is_refused(tickets, ticket):
    with pytest.raises(TicketRefused):
        tickets.verify("worker-1", ticket)


class TestSecondRedemption:
    def test_second_process_is_refused(self, tickets):
        expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))
        tickets.redeem("worker-1", expiry, "first")

        with pytest.raises(TicketRedeemedTwice):
            tickets.redeem("worker-1", expiry, "second")

    def test_second_process_is_refused_after_a_restart(self, tickets, ledger, now):
        expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))
        tickets.redeem("worker-1", expiry, "first")

        with pytest.raises(TicketRedeemedTwice):
            Tickets(SECRET, ledger, now).redeem("worker-1", expiry, "second")

    def test_same_process_may_repeat_after_a_lost_answer(self, tickets, ledger, now):
        expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))
        tickets.redeem("worker-1", expiry, "first")

        tickets.redeem("worker-1", expiry, "first")
        Tickets(SECRET, ledger, now).redeem("worker-1", expiry, "first")

        assert len(ledger.read_text().splitlines()) == 1

    def test_redemption_that_cannot_be_recorded_does_not_count(self, tickets, ledger):
        expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))
        ledger.mkdir()

        with pytest.raises(OSError, match="directory"):
            tickets.redeem("worker-1", expiry, "first")

        ledger.rmdir()
        tickets.redeem("worker-1", expiry, "second")


def test_ticket_of_the_last_process_is_valid_after_a_restart(tickets, ledger, now):
    ticket = tickets.issue("worker-1", 60)

    assert Tickets(SECRET, ledger, now).verify("worker-1", ticket)


class TestLedger:
    def test_file_is_private_and_has_no_nonce(self, tickets, ledger):
        tickets.redeem("worker-1", tickets.verify("worker-1", tickets.issue("worker-1", 60)), "the-nonce")

        assert ledger.stat().st_mode & 0o777 == 0o600
        assert "the-nonce" not in ledger.read_text()

    def test_restart_drops_expired_redemptions(self, tickets, ledger, now):
        for node_id, seconds in (("short", 10), ("long", 100)):
            tickets.redeem(node_id, tickets.verify(node_id, tickets.issue(node_id, seconds)), "n")
        now.seconds += 50

        Tickets(SECRET, ledger, now)

        assert [line.split()[0] for line in ledger.read_text().splitlines()] == ["long"]
        assert ledger.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("rest", ["worker-1 ab", "x", "\x00\xff\n", "a b c\n", "a b c d e\n"])
    def test_torn_line_is_ignored(self, tickets, ledger, now, rest):
        expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))
        tickets.redeem("worker-1", expiry, "first")
        with ledger.open("a") as file:
            file.write(rest)

        with pytest.raises(TicketRedeemedTwice):
            Tickets(SECRET, ledger, now).redeem("worker-1", expiry, "second")

    def test_torn_line_counts_as_redemption_after_a_restart(self, tickets, ledger, now):
        """Without its end it shows an earlier expiry, which has passed."""
        expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))
        tickets.redeem("worker-1", expiry, "first")
        ledger.write_text(ledger.read_text()[:-6])

        for _ in range(2):
            restarted = Tickets(SECRET, ledger, now)
            with pytest.raises(TicketRedeemedTwice):
                restarted.redeem("worker-1", expiry, "second")

    def test_process_of_a_torn_line_may_repeat(self, tickets, ledger, now):
        expiry = tickets.verify("worker-1", tickets.issue("worker-1", 60))
        tickets.redeem("worker-1", expiry, "first")
        ledger.write_text(ledger.read_text()[:-6])

        Tickets(SECRET, ledger, now).redeem("worker-1", expiry, "first")

        with pytest.raises(TicketRedeemedTwice):
            Tickets(SECRET, ledger, now).redeem("worker-1", expiry, "second")

    @pytest.mark.parametrize("missing", [1, 6, 20, 70])
    def test_line_after_a_torn_one_is_a_line_of_its_own(self, tickets, ledger, now, missing):
        end = int(now() + 60)
        tickets.redeem("worker-1", end, "first")
        with ledger.open("a") as file:
            file.write(f"worker-2 {'a' * 64} {end}\n"[:-missing])

        tickets.redeem("worker-3", end, "first")

        restarted = Tickets(SECRET, ledger, now)
        for node_id in ("worker-1", "worker-2", "worker-3"):
            with pytest.raises(TicketRedeemedTwice):
                restarted.redeem(node_id, end, "second")

    @pytest.mark.parametrize("failure", ["short", "error"])
    def test_full_disk_leaves_the_file_as_it_was(self, tickets, ledger, now, monkeypatch, failure):
        tickets.redeem("worker-1", int(now() + 60), "first")
        before = ledger.read_bytes()
        write = os.write

        def full(file: int, data: bytes) -> int:
            if failure == "error":
                raise OSError(28, "No space left on device")
            return write(file, data[:20])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(OSError, match="No space left"):
                tickets.redeem("worker-2", int(now() + 60), "first")
        assert ledger.read_bytes() == before

        tickets.redeem("worker-2", int(now() + 60), "first")
        with pytest.raises(TicketRedeemedTwice):
            Tickets(SECRET, ledger, now).redeem("worker-2", int(now() + 60), "second")

    @pytest.mark.parametrize("line", ["n h " + "9" * 5000, "n h \u0663", "x" * 9000])
    def test_strange_line_does_not_stop_the_restart(self, ledger, now, line):
        ledger.write_text(f"{line}\n")

        Tickets(SECRET, ledger, now).redeem("worker-1", int(now() + 60), "first")

    def test_full_disk_at_the_restart_keeps_the_redemptions(self, tickets, ledger, now, monkeypatch):
        tickets.redeem("worker-1", int(now() + 60), "first")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("yellowdog_ray.monitor.tickets.write_private", full)

        with pytest.raises(TicketRedeemedTwice):
            Tickets(SECRET, ledger, now).redeem("worker-1", int(now() + 60), "second")

    def test_link_is_not_followed(self, tickets, ledger, tmp_path):
        ledger.symlink_to(tmp_path / "elsewhere")

        with pytest.raises(OSError, match="symbolic links"):
            tickets.redeem("worker-1", 2_000_000, "first")

        assert not (tmp_path / "elsewhere").exists()
