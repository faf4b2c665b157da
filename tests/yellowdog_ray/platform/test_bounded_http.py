"""HTTP calls are bounded as a whole, in time and bytes, whatever answers."""

import itertools
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from tests.yellowdog_ray.foreign_server import DRIP_SECONDS, dripping, foreign_server
from yellowdog_local import faults
from yellowdog_ray.budget import TooLarge
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import MalformedResponse, Unavailable
from yellowdog_ray.monitor.certificate import Certificate
from yellowdog_ray.platform import client
from yellowdog_ray.platform.bounded_http import bound_calls
from yellowdog_ray.platform.client import Platform

SECONDS = 0.6
"""The deadline of a call: much longer than the time between two bytes."""

READ_SECONDS = 10 * DRIP_SECONDS
SIZE = 10_000

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"


@pytest.fixture
def session() -> requests.Session:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = False
        bound_calls(session, 2, SECONDS, SIZE)
        yield session


@pytest.fixture
def tls(tmp_path):
    return Certificate(tmp_path / "key").context()


def seconds_until_failure(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(requests.RequestException):
        call()
    return time.monotonic() - began


@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nA: ", ENDLESS])
@pytest.mark.parametrize("scheme", ["http", "https"])
class TestDripping:
    def test_call_ends_at_its_deadline_when_the_answer_drips(self, session, tls, scheme, beginning):
        certificate = tls if scheme == "https" else None
        with foreign_server(lambda: itertools.chain([beginning], dripping()), certificate) as port:
            seconds = seconds_until_failure(
                lambda: session.get(f"{scheme}://127.0.0.1:{port}", timeout=(SECONDS, READ_SECONDS))
            )

        assert SECONDS - 0.1 <= seconds < 3 * SECONDS


def test_call_ends_at_its_deadline_when_a_proxys_answer_drips(session):
    with foreign_server(dripping) as port:
        session.proxies = {"https": f"http://127.0.0.1:{port}"}
        seconds = seconds_until_failure(lambda: session.get("https://platform.test", timeout=(SECONDS, READ_SECONDS)))

    assert SECONDS - 0.1 <= seconds < 3 * SECONDS


@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_call_succeeds_with_a_budget_of_its_own_when_its_connection_is_reused(session, tls, scheme):
    def answers() -> list[bytes]:
        time.sleep(0.4 * SECONDS)
        return [HEAD + b"ok"]

    with foreign_server(answers, tls if scheme == "https" else None, keeps_open=True) as port:
        url = f"{scheme}://127.0.0.1:{port}"
        texts = [session.get(url, timeout=SECONDS).text for _ in range(3)]
        pool = session.get_adapter(url).poolmanager.connection_from_url(url, {"cert_reqs": "CERT_NONE"})
        session.close()

    assert texts == ["ok"] * 3
    assert pool.num_connections == 1


def test_answer_beyond_its_size_is_not_read(session):
    with (
        foreign_server(lambda: itertools.chain([ENDLESS], itertools.repeat(b"x" * 1000))) as port,
        pytest.raises(TooLarge),
    ):
        session.get(f"http://127.0.0.1:{port}", timeout=SECONDS)


def test_platform_call_ends_at_its_deadline_when_the_answer_drips(local, monkeypatch):
    monkeypatch.setattr(client, "CALL_TIMEOUT", timedelta(seconds=SECONDS))
    platform = Platform(Credentials(local.url, local.key_id, local.key_secret), "demo")

    with (
        local.faults.during(faults.Drip(call="GET /application", seconds=DRIP_SECONDS)),
        pytest.raises(Unavailable, match="no answer"),
    ):
        platform.account_name()


def test_platform_call_fails_when_the_answer_is_too_large(local, monkeypatch):
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 50)
    platform = Platform(Credentials(local.url, local.key_id, local.key_secret), "demo")

    with pytest.raises(MalformedResponse, match="TooLarge"):
        platform.account_name()


def test_platform_call_follows_few_redirects(monkeypatch):
    calls = []

    def redirect() -> list[bytes]:
        calls.append(1)
        return [f"HTTP/1.1 302 Found\r\nLocation: /{len(calls)}\r\nContent-Length: 0\r\n\r\n".encode()]

    with foreign_server(redirect, keeps_open=True) as port:
        platform = Platform(Credentials(f"http://127.0.0.1:{port}", "id", "secret"), "demo")
        with pytest.raises(Unavailable, match="TooManyRedirects"):
            platform.account_name()

    assert len(calls) == client.MAX_REDIRECTS + 1
