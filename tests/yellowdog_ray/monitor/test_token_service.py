"""The token service under strangers: garbage, slow connections, many connections."""

import contextlib
import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from yellowdog_ray.monitor import token_service
from yellowdog_ray.monitor.certificate import Certificate
from yellowdog_ray.monitor.token_service import MAX_CONNECTIONS_PER_ADDRESS, MAX_REQUEST, TokenService, answer_seconds

LONG = 2**24
QUESTION = {"node": "worker-1", "ticket": "1.a", "nonce": "n"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("auth") / "token_service.pem")


class Heard:
    """What reached the admission."""

    def __init__(self) -> None:
        self.requests: list[tuple[Mapping[str, str], str]] = []

    def __call__(self, request: Mapping[str, str], address: str) -> Mapping[str, str]:
        self.requests.append((request, address))
        if request.get("node") == "bug":
            raise ZeroDivisionError
        return {"archive": "x" * LONG} if "kit" in request else {"token": "the-token"}


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def service(certificate: Certificate, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenService]:
    monkeypatch.setattr(token_service, "CONNECTION_SECONDS", 0.3)
    service = TokenService(certificate.context(), heard, 0)
    yield service
    service.close()
    for thread in threading.enumerate():
        if thread.name == "raydog-token":
            thread.join(5)


def test_service_does_not_keep_the_process_running(service):
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "raydog-token-service"]

    assert thread.daemon


def connect(service: TokenService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=5)


def secured(plain: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)


def asked(service: TokenService, text: bytes) -> bytes:
    """The service's whole answer; empty if it closes the connection."""
    with connect(service) as plain, secured(plain) as connection:
        connection.sendall(text)
        try:
            return connection.recv(4096)
        except OSError:
            return b""


def line(question: object) -> bytes:
    return json.dumps(question).encode() + b"\n"


def test_request_is_answered_over_tls(service, heard):
    assert json.loads(asked(service, line(QUESTION))) == {"token": "the-token"}
    assert heard.requests == [(QUESTION, "127.0.0.1")]


@pytest.mark.parametrize(("rate", "complete"), [(LONG / 5, True), (LONG * 100, False)])
def test_long_answer_has_time_by_its_size(service, monkeypatch, rate, complete):
    monkeypatch.setattr(token_service, "_BYTES_PER_SECOND", rate)
    with connect(service) as plain, secured(plain) as connection:
        connection.sendall(line({"kit": ""}))
        time.sleep(1)  # above the time of a short answer
        received = 0
        with contextlib.suppress(OSError):
            while data := connection.recv(2**16):
                received += len(data)

    assert (received > LONG) == complete


def test_answer_has_a_longest_time():
    assert answer_seconds(200) == pytest.approx(token_service.CONNECTION_SECONDS, abs=0.01)
    assert answer_seconds(2**30) == 150


def test_certificate_shown_is_the_one_of_the_fingerprint(service, certificate):
    with connect(service) as plain, secured(plain) as connection:
        shown = connection.getpeercert(True)

    assert shown is not None
    assert certificate.fingerprint == hashlib.sha256(shown).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        line([1]),
        line({"node": 1}),
        line({"node": {"a": "b"}}),
        b"\xff\xfe\n",
        b"[" * 1500 + b"\n",
        b"x" * (MAX_REQUEST + 1),
        line(QUESTION | {"more": "x" * MAX_REQUEST}),
    ],
)
def test_garbage_reaches_nobody_and_later_requests_are_answered(service, heard, text):
    assert asked(service, text) == b""
    assert heard.requests == []

    assert asked(service, line(QUESTION))


def test_plain_text_reaches_nobody_and_later_requests_are_answered(service, heard):
    with connect(service) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(100):
                pass
    assert heard.requests == []

    assert asked(service, line(QUESTION))


def test_silent_connections_end_at_their_deadline(service):
    with connect(service) as plain:
        assert plain.recv(1) == b""


def test_connection_that_sends_a_byte_now_and_then_ends_at_its_deadline(service):
    """A timeout for each read would restart with every byte."""
    with connect(service) as plain, secured(plain) as connection, pytest.raises(OSError):  # noqa: PT012
        connection.settimeout(0.02)
        for _ in range(500):
            connection.sendall(b"x")
            try:
                if connection.recv(1) == b"":
                    raise ConnectionResetError
            except TimeoutError:
                continue
        pytest.fail("the connection is still open")


def test_connections_above_the_limit_of_an_address_are_closed_at_once(service, monkeypatch):
    monkeypatch.setattr(token_service, "CONNECTION_SECONDS", 60)
    held = [connect(service) for _ in range(MAX_CONNECTIONS_PER_ADDRESS)]
    try:
        with connect(service) as one_too_many:
            assert one_too_many.recv(1) == b""
    finally:
        for connection in held:
            connection.close()


def test_address_is_served_again_when_its_connections_have_ended(service):
    held = [connect(service) for _ in range(MAX_CONNECTIONS_PER_ADDRESS)]
    for connection in held:
        connection.recv(1)  # until the service closes it
        connection.close()
    for thread in threading.enumerate():
        if thread.name == "raydog-token":
            thread.join(5)

    assert asked(service, line(QUESTION))


def test_mistake_in_an_answer_is_logged_once_and_ends_nothing(service, caplog):
    for _ in range(2):
        assert asked(service, line(QUESTION | {"node": "bug"})) == b""

    assert asked(service, line(QUESTION))
    assert caplog.text.count("could not answer") == 1


def test_second_service_on_the_port_fails(service, certificate, heard):
    with pytest.raises(OSError, match="in use"):
        TokenService(certificate.context(), heard, service.port)


class TestCertificate:
    def test_file_is_private_and_stays(self, tmp_path: Path):
        file = tmp_path / "token_service.pem"

        first, second = Certificate(file), Certificate(file)

        assert file.stat().st_mode & 0o777 == 0o600
        assert (first.fingerprint, first.secret) == (second.fingerprint, second.secret)

    def test_two_heads_have_different_ones(self, tmp_path: Path):
        one, other = Certificate(tmp_path / "one.pem"), Certificate(tmp_path / "other.pem")

        assert one.fingerprint != other.fingerprint
        assert one.secret != other.secret
