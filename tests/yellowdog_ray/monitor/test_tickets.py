"""Tickets: valid once, for one node, for a time; a restart changes none of that."""

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

    def test_link_is_not_followed(self, tickets, ledger, tmp_path):
        ledger.symlink_to(tmp_path / "elsewhere")

        with pytest.raises(OSError, match="symbolic links"):
            tickets.redeem("worker-1", 2_000_000, "first")

        assert not (tmp_path / "elsewhere").exists()
