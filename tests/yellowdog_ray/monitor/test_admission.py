"""Who gets the token: the node of a ticket, from its own address, once."""

import logging
import os
import ssl
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.monitor.admission import AFTER_BOOT, Admission
from yellowdog_ray.monitor.carriers import CLAIM_SECONDS
from yellowdog_ray.monitor.kit import PackedKit
from yellowdog_ray.node import variables

BOOT = timedelta(minutes=10)
TOKEN = "t" * 64


class FakeAddresses:
    """The addresses that the platform lists."""

    def __init__(self) -> None:
        self.listed: dict[str, frozenset[str]] = {"worker-1": frozenset({"10.0.0.5", "80.0.0.5"})}

    def of(self, node_id: str) -> frozenset[str]:
        return self.listed.get(node_id, frozenset())


class Head:
    """A head's files, and its admission; `restart` makes another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 1_000_000.0
        self.passed = 0.0
        self.kit = PackedKit(b"archive", "digest")
        self.addresses: Any = FakeAddresses()
        self.token_file = folder / "auth_token"
        self.token_file.write_text(f"{TOKEN}\n")
        self.checks_addresses = True
        self.restart()

    def restart(self, head_id: str = "head-1") -> None:
        self.admission = Admission(
            self.addresses,
            self.token_file,
            self.files,
            head_id,
            lambda: self.seconds,
            lambda: self.checks_addresses,
            0,
            lambda: self.kit,
            monotonic=lambda: self.passed,
        )

    @property
    def files(self) -> Path:
        return self.folder / ".raydog/auth"

    def ticket(self, node_id: str = "worker-1") -> str:
        return self.admission.environment(node_id, BOOT)[variables.TICKET]

    def answer(
        self, ticket: str, node_id: str = "worker-1", nonce: str = "n", at: str = "10.0.0.5"
    ) -> Mapping[str, str]:
        return self.admission.answer({"node": node_id, "ticket": ticket, "nonce": nonce}, at)


@pytest.fixture
def head(tmp_path: Path) -> Head:
    return Head(tmp_path)


def test_places_of_carriers_do_not_depend_on_the_clock_of_the_day(head):
    def ask(number: int) -> Mapping[str, str]:
        request = {"kit": "digest", "node": f"worker-{number}", "token": TOKEN}
        return head.admission.answer(request, f"10.0.0.{number}")

    head.addresses.listed = {f"worker-{number}": frozenset({f"10.0.0.{number}"}) for number in range(4)}
    for number in range(3):
        assert "carriers" in ask(number)

    head.seconds += 3_600
    assert "wait" in ask(3)
    head.seconds -= 7_200
    head.passed += CLAIM_SECONDS
    assert "carriers" in ask(3)


@pytest.mark.parametrize("address", ["10.0.0.5", "80.0.0.5"])
def test_node_gets_the_token_from_its_addresses(head, address):
    assert head.answer(head.ticket(), at=address) == {"token": TOKEN}


def test_copied_ticket_is_refused_at_another_address_and_remains_valid(head, caplog):
    ticket = head.ticket()

    refused = head.answer(ticket, nonce="thief", at="10.0.0.99")

    assert "10.0.0.99" in refused["refused"]
    assert "token" not in refused
    assert head.answer(ticket) == {"token": TOKEN}
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "worker-1" in record.getMessage()
    assert "10.0.0.99" in record.getMessage()


def test_repeated_attempts_at_another_address_give_a_warning(head, caplog):
    ticket = head.ticket()

    for _ in range(2):
        assert "token" not in head.answer(ticket, nonce="thief", at="10.0.0.99")

    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "worker-1" in record.getMessage()


def test_attempt_at_another_address_after_the_redemption_gives_a_warning(head, caplog):
    ticket = head.ticket()
    head.answer(ticket)

    assert "token" not in head.answer(ticket, nonce="thief", at="10.0.0.99")

    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "worker-1" in record.getMessage()
    assert "10.0.0.99" in record.getMessage()


def test_node_that_repeats_its_request_from_its_other_address_gives_no_warning(head, caplog):
    ticket = head.ticket()
    head.answer(ticket)

    assert "token" not in head.answer(ticket, at="10.0.9.9")

    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_host_with_several_addresses_is_offered_the_listed_ones_without_a_warning(head, caplog):
    ticket = head.ticket()

    offer = head.answer(ticket, at="10.0.9.9")

    assert set(offer["elsewhere"].split()) == {"10.0.0.5", "80.0.0.5"}
    assert head.answer(ticket, at="10.0.0.5") == {"token": TOKEN}
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_any_address_is_accepted_where_the_yaml_says_so_but_once(head, caplog):
    head.checks_addresses = False
    ticket = head.ticket()

    assert head.answer(ticket, at="10.0.0.99") == {"token": TOKEN}
    assert "redeemed before" in head.answer(ticket, nonce="other")["refused"]
    assert "worker-1" in caplog.text


def test_second_redemption_is_refused_with_a_warning(head, caplog):
    caplog.set_level(logging.WARNING)  # another test of the process may have set the root logger to INFO
    ticket = head.ticket()
    head.answer(ticket)

    again = head.answer(ticket, nonce="other")

    assert "redeemed before" in again["refused"]
    assert [record.levelname for record in caplog.records if "worker-1" in record.getMessage()] == ["WARNING"]


def test_second_redemption_is_refused_after_a_restart(head):
    ticket = head.ticket()
    head.answer(ticket)

    head.restart()

    assert "redeemed before" in head.answer(ticket, nonce="other")["refused"]


def test_ticket_of_the_last_process_is_accepted(head):
    ticket = head.ticket()

    head.restart()

    assert head.answer(ticket) == {"token": TOKEN}


def test_ticket_expires_after_boot_and_some_minutes(head):
    ticket = head.ticket()
    head.seconds += (BOOT + AFTER_BOOT).total_seconds()

    assert "expired" in head.answer(ticket)["refused"]


def test_forged_ticket_is_refused_without_a_platform_call(head):
    head.addresses.of = lambda _: pytest.fail("a stranger caused a reading")

    assert "refused" in head.answer("9999999999.abc")
    assert "refused" in head.answer("")
    assert "refused" in head.admission.answer({}, "10.0.0.5")


def test_refused_strangers_are_logged_once_for_each_address_and_minute(head, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(3):
        for address in ("6.6.6.6", "7.7.7.7"):
            head.answer("9999999999.abc", at=address)
    assert caplog.text.count("The token service refused") == 2

    head.seconds += 60
    head.answer("9999999999.abc", at="6.6.6.6")

    assert caplog.text.count("The token service refused") == 3


def test_repeated_warnings_are_logged_once_for_each_address_and_minute(head, caplog):
    ticket = head.ticket()
    head.answer(ticket)
    for _ in range(5):
        head.answer(ticket, nonce="thief", at="10.0.0.99")
        head.answer(ticket, nonce="thief")

    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2


class TestFiles:
    """The files of the token service belong to one head."""

    def test_folders_are_private_whatever_the_umask(self, head):
        umask = os.umask(0)
        try:
            head.ticket()
        finally:
            os.umask(umask)

        assert [folder.stat().st_mode & 0o777 for folder in (head.files.parent, head.files)] == [0o700, 0o700]

    def test_files_of_another_head_are_replaced(self, head):
        """Owners of an image with these files could issue tickets."""
        stolen = head.ticket()
        head.answer(head.ticket())
        fingerprint = head.admission.certificate.fingerprint

        head.restart("head-2")

        assert "not one of this cluster" in head.answer(stolen)["refused"]
        assert head.admission.certificate.fingerprint != fingerprint
        assert head.answer(head.ticket(), nonce="other") == {"token": TOKEN}

    @pytest.mark.parametrize(
        "content", ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    def test_damaged_key_is_made_again_with_a_warning(self, head, caplog, content):
        head.ticket()
        (head.files / "token_service.pem").write_text(content)

        head.restart()

        assert head.answer(head.ticket()) == {"token": TOKEN}
        head.admission.certificate.context()
        assert [record.levelname for record in caplog.records if "is damaged" in record.getMessage()] == ["WARNING"]

    @pytest.mark.parametrize("call", ["environment", "tick"])
    def test_full_disk_is_reported_as_one(self, head, monkeypatch, call):
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("yellowdog_ray.monitor.certificate.write_private", full)

        with pytest.raises(RayDogError, match=r"No space left on device.*no worker can join"):
            head.ticket() if call == "environment" else head.admission.tick(Snapshot())


def test_node_without_a_known_address_is_to_try_again(head):
    ticket = head.ticket()
    head.addresses.listed.clear()

    assert "retry" in head.answer(ticket)


@pytest.mark.parametrize("damage", [None, b"", b"\xff\xfe", b"two\nlines\n", "ü".encode()])
def test_ticket_stays_valid_when_the_head_has_no_token(head, damage, caplog):
    ticket = head.ticket()
    head.token_file.unlink()
    if damage is not None:
        head.token_file.write_bytes(damage)
    assert ["retry" in head.answer(ticket) for _ in range(3)] == [True] * 3
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "auth_token" in record.getMessage()

    head.token_file.write_text(TOKEN)

    assert head.answer(ticket, nonce="other") == {"token": TOKEN}


def test_log_has_neither_token_nor_ticket(head, caplog):
    caplog.set_level(logging.DEBUG)
    ticket = head.ticket()
    head.answer(ticket)
    head.answer(ticket, nonce="other")
    head.answer(ticket, at="10.0.0.99")
    logging.getLogger().warning("an error that quotes %s", TOKEN)

    assert ticket not in caplog.text
    assert TOKEN not in caplog.text


class TestService:
    @pytest.fixture
    def running(self, head: Head) -> Iterator[Head]:
        head.admission.tick(Snapshot())
        yield head
        head.admission.close()

    def test_service_has_a_context_of_tls(self, head, monkeypatch):
        contexts = []

        def start(context: object, *_: object) -> SimpleNamespace:
            contexts.append(context)
            return SimpleNamespace(port=1)

        monkeypatch.setattr("yellowdog_ray.monitor.admission.TokenService", start)

        head.admission.tick(Snapshot())

        assert [type(context) for context in contexts] == [ssl.SSLContext]

    def test_tick_starts_the_service_once(self, running, caplog):
        caplog.set_level(logging.INFO)

        running.admission.tick(Snapshot())

        assert "listens" not in caplog.text

    def test_taken_port_is_logged_once_and_tried_again(self, head, monkeypatch, caplog):
        def taken(*_: object) -> None:
            raise OSError("Address already in use")

        with monkeypatch.context() as patch:
            patch.setattr("yellowdog_ray.monitor.admission.TokenService", taken)
            head.admission.tick(Snapshot())
            head.admission.tick(Snapshot())
        assert caplog.text.count("no worker can join") == 1

        head.admission.tick(Snapshot())
        head.admission.close()
