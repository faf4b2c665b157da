"""Which workers get the head's kit."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from yellowdog_ray.monitor.carriers import CLAIM_SECONDS, Carriers
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
        self.checks_addresses = True
        workers = {f"worker-{number}": [f"10.0.0.{number}"] for number in range(5)}
        self.carriers = Carriers(
            lambda: self.kit,
            lambda: "token",
            lambda node_id: workers.get(node_id, []),
            lambda: self.checks_addresses,
            lambda: self.seconds,
        )

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
    assert service.ask(MAX_CARRIERS) == WAIT

    service.seconds += CLAIM_SECONDS - 1
    for number in range(1, MAX_CARRIERS):
        service.ask(number)
    service.seconds += 1

    assert service.ask(MAX_CARRIERS)["carriers"].split() == ["worker-1", "worker-2", "worker-3"]
    assert service.ask(0) == WAIT


def test_no_worker_is_a_carrier_while_there_is_no_kit(service):
    service.kit = None

    assert service.ask(0) == SOON
