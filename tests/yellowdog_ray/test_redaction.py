"""The secret stays out of errors and log records."""

import logging
import traceback

import pytest

from yellowdog_ray import redaction
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import NotFound

SECRET = "0123456789abcdefSECRET"


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """A process that has loaded its key."""
    hidden = list(redaction._hidden)
    monkeypatch.setenv("YD_API_KEY_ID", "id")
    monkeypatch.setenv("YD_API_KEY_SECRET", SECRET)
    load_credentials()
    yield
    redaction._hidden.clear()
    redaction._hidden.extend(hidden)


def test_error_text_is_redacted():
    assert str(NotFound(f"no such header: {SECRET}")) == "no such header: (secret)"


def test_log_record_of_any_logger_is_redacted(caplog):
    logging.getLogger("urllib3").error("sent %s", SECRET)

    assert SECRET not in caplog.text
    assert "sent (secret)" in caplog.text


def test_traceback_in_the_log_is_redacted(caplog):
    def fail() -> None:
        raise ValueError(f"bad key {SECRET}")

    try:
        fail()
    except ValueError:
        logging.getLogger("ray").exception("a tick has failed")

    assert SECRET not in caplog.text
    assert "ValueError: bad key (secret)" in caplog.text


def test_traceback_in_the_log_is_unchanged_without_a_secret(caplog):
    try:
        int("bad number")
    except ValueError:
        expected = traceback.format_exc()
        logging.getLogger("ray").exception("a tick has failed")

    assert f"a tick has failed\n{expected}" in caplog.text
    assert caplog.records[0].exc_text == expected.rstrip("\n")
    assert caplog.records[0].funcName == "test_traceback_in_the_log_is_unchanged_without_a_secret"


def test_shortest_secret_has_eight_characters():
    redaction.hide("1234567")
    redaction.hide("abcdefgh")

    assert redaction.redact("1234567 abcdefgh") == "1234567 (secret)"


def test_short_secret_is_not_redacted(monkeypatch):
    monkeypatch.setenv("YD_API_KEY_SECRET", "ray")
    load_credentials()

    assert redaction.redact("ray up") == "ray up"
