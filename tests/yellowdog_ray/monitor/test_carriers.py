"""Which workers get the head's kit."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from yellowdog_ray.monitor.carriers import CLAIM_SECONDS, MAX_ATTEMPTS, RECEIPT_SECONDS, Carriers
from yellowdog_ray.monitor.jobs_document import JobsPendingError
from yellowdog_ray.monitor.kit import PackedKit
from yellowdog_ray.node.kit import MAX_CARRIERS

KIT = PackedKit(b"archive", "digest")
TOKEN = "token\n"
WAIT, SOON = {"wait": "300"}, {"wait": "60"}


class Service:
    """The kit's service of a head with five workers, whose addresses end with their number."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.kit: PackedKit | None = KIT
        self.is_pending = False
        self.checks_addresses = True
        workers = {f"worker-{number}": [f"10.0.0.{number}"] for number in range(5)}
        self.carriers = Carriers(
            self._make,
            lambda: "token",
            lambda node_id: workers.get(node_id, []),
            lambda: self.checks_addresses,
            lambda: self.seconds,
        )

    def _make(self) -> PackedKit | None:
        if self.is_pending:
            raise JobsPendingError
        return self.kit

    def ask(self, number: int, at: str = "", token: str = TOKEN, digest: str = "") -> Mapping[str, str]:
        request = {"kit": digest, "node": f"worker-{number}", "token": token}
        return self.carriers.answer(request, at or f"10.0.0.{number}")


@pytest.fixture
def service() -> Service:
    return Service()


def test_worker_gets_the_kit_and_the_carriers(service):
    service.ask(0)

    answer = service.ask(1)

    assert base64.b64decode(answer["archive"]) == KIT.archive
    assert (answer["digest"], answer["carriers"].split()) == ("digest", ["worker-0", "worker-1"])


def test_kit_is_not_sent_again_to_a_worker_that_has_it(service):
    assert "archive" not in service.ask(0, digest="digest")
    assert "archive" in service.ask(0, digest="older")


@pytest.mark.parametrize("token", ["", "other", "token2", "tök"])
def test_request_without_the_token_gets_nothing(service, token, caplog):
    assert service.ask(0, token=token) == WAIT
    assert "refused" in caplog.text


def test_request_from_another_address_gets_nothing(service):
    assert service.ask(0, at="10.0.0.1") == WAIT

    service.checks_addresses = False
    assert "archive" in service.ask(0, at="10.0.0.1")


def test_node_that_is_no_live_worker_gets_nothing(service):
    service.checks_addresses = False

    assert service.ask(9) == SOON


def test_further_workers_wait_until_a_carrier_no_longer_renews(service):
    for number in range(MAX_CARRIERS):
        assert "archive" in service.ask(number)
        service.ask(number, digest="digest")
    assert service.ask(MAX_CARRIERS) == WAIT

    service.seconds += CLAIM_SECONDS - 1
    for number in range(1, MAX_CARRIERS):
        service.ask(number, digest="digest")
    service.seconds += 1

    assert service.ask(MAX_CARRIERS)["carriers"].split() == ["worker-1", "worker-2", "worker-3"]
    assert service.ask(0) == WAIT


def test_receipt_is_logged_once_when_the_worker_states_it(service, caplog):
    caplog.set_level("INFO")
    service.ask(0)
    assert caplog.text == ""

    service.ask(0, digest="digest")
    service.ask(0, digest="digest")
    assert [record.getMessage() for record in caplog.records] == ["Node worker-0 has the head's kit"]


def test_worker_without_receipt_leaves_its_place_to_another_with_one_warning(service, caplog):
    for number in range(MAX_CARRIERS):
        service.ask(number)
        service.ask(number, digest="digest" if number else "")
    service.ask(0)

    assert service.ask(0) == WAIT
    assert "archive" in service.ask(MAX_CARRIERS)
    assert service.ask(0) == WAIT
    service.seconds += 3 * CLAIM_SECONDS
    for _ in range(MAX_ATTEMPTS):
        assert "archive" in service.ask(0)
    assert service.ask(0) == WAIT
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "worker-0" in warning


def test_worker_without_receipt_for_minutes_leaves_its_place_to_another(service, caplog):
    service.kit = PackedKit(bytes(40 << 20), "digest")
    service.ask(0)
    service.seconds += 200
    for number in range(MAX_CARRIERS):
        service.ask(number)
    service.seconds += RECEIPT_SECONDS - 200 - 1
    service.ask(1, digest="digest")
    service.ask(2, digest="digest")
    assert service.ask(3) == WAIT
    service.seconds += 1

    assert service.ask(3)["carriers"].split() == ["worker-1", "worker-2", "worker-3"]
    assert "worker-0" in caplog.text


def test_worker_keeps_its_place_while_the_kit_changes_at_each_request(service, caplog):
    digest = ""
    for number in range(10):
        service.kit = PackedKit(b"archive", str(number))
        assert "archive" in service.ask(0, digest=digest)
        digest = str(number)
        service.seconds += 50

    assert caplog.text == ""


def test_worker_keeps_its_place_while_a_large_kit_is_sent(service):
    service.kit = PackedKit(bytes(40 << 20), "digest")
    for number in range(MAX_CARRIERS):
        service.ask(number)
    service.seconds += 150 + CLAIM_SECONDS - 1

    assert service.ask(MAX_CARRIERS) == WAIT
    assert len(service.ask(0, digest="digest")["carriers"].split()) == MAX_CARRIERS


def test_carrier_keeps_its_kit_and_its_place_until_a_restarted_head_has_read_its_jobs(service):
    service.is_pending = True

    assert service.ask(0, digest="before") == {"carriers": "worker-0", "digest": "before"}
    assert service.ask(1) == SOON

    service.is_pending = False
    assert "archive" in service.ask(1)
    answer = service.ask(0, digest="before")
    assert "archive" in answer
    assert answer["carriers"].split() == ["worker-0", "worker-1"]


def test_no_worker_is_a_carrier_while_there_is_no_kit(service):
    service.kit = None

    assert service.ask(0) == SOON
