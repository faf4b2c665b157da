"""The secret stays out of errors and log records."""

import base64
import html
import json
import logging
import subprocess
import sys
import traceback
import urllib.parse

import pytest

from yellowdog_ray import redaction
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import NotFound

SECRET = "0123456789abcdefSECRET"


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """A process that has loaded its key."""
    hidden = list(redaction._hidden)
    redaction._forms.cache_clear()  # computed anew, so that a mutation test reaches it
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
    assert caplog.records[-1].exc_text is None


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


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no text")


class TestForms:
    SECRET = 'pa/ss+w"o&rd é\\ 1234'

    @pytest.mark.parametrize(
        "write",
        [
            urllib.parse.quote,
            urllib.parse.quote_plus,
            lambda text: urllib.parse.quote(text, safe="").lower().replace("%c3%a9", "%c3%a9"),
            json.dumps,
            lambda text: json.dumps(json.dumps({"key": text})),
            repr,
            html.escape,
        ],
        ids=["url", "form", "lower-case url", "json", "json in json", "python", "html"],
    )
    def test_encoded_secret_is_redacted(self, monkeypatch, write):
        redaction.hide(self.SECRET)

        text = redaction.redact(f"sent {write(self.SECRET)} twice")

        assert redaction.PLACEHOLDER in text
        assert "1234" not in text

    @pytest.mark.parametrize("before", ["", "i", "id", "id:", "yd-key id:"])
    @pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
    def test_base64_of_a_text_with_the_secret_is_redacted(self, before, encode):
        encoded = encode(f"{before}{SECRET}".encode()).decode()

        text = redaction.redact(f"Basic {encoded}")

        assert redaction.PLACEHOLDER in text
        assert len(text.replace(redaction.PLACEHOLDER, "")) < len("Basic ") + len(before) * 2 + 8


def test_lower_case_escapes_of_a_url_are_redacted(monkeypatch):
    monkeypatch.setenv("YD_API_KEY_SECRET", "se/cr/et+SECRET")
    load_credentials()

    assert redaction.redact("key=se%2fcr%2fet%2bSECRET") == "key=(secret)"


class TestMalformedCalls:
    @pytest.mark.parametrize("arguments", [("%d", "x"), ("%s %s", SECRET), ("%s", Unprintable()), (Unprintable(),)])
    def test_malformed_logging_call_raises_nothing_and_shows_no_secret(self, caplog, capsys, arguments):
        logging.getLogger("some.library").error(*arguments)

        assert "malformed log message" in caplog.text
        assert SECRET not in caplog.text + capsys.readouterr().err

    def test_malformed_traceback_raises_nothing(self, caplog):
        logging.getLogger("some.library").error("failed", exc_info=("not", "a"))

        assert "failed" in caplog.text

    def test_stack_in_the_log_is_redacted(self):
        record = logging.getLogRecordFactory()("a", logging.INFO, "f", 1, "m", (), None, "f", f"Stack: {SECRET}")

        assert record.stack_info == "Stack: (secret)"


class TestUncaught:
    PROGRAM = """
import threading
from yellowdog_ray.redaction import hide
hide("0123456789abcdefSECRET")
def fail():
    try:
        raise ValueError("bad header 0123456789abcdefSECRET")
    except ValueError as error:
        raise RuntimeError("a call failed") from error
"""

    @pytest.mark.parametrize("end", ["fail()", "thread = threading.Thread(target=fail); thread.start(); thread.join()"])
    def test_cause_of_uncaught_exception_is_redacted(self, end):
        done = subprocess.run([sys.executable, "-c", self.PROGRAM + end], capture_output=True, text=True, check=False)

        assert "ValueError: bad header (secret)" in done.stderr
        assert "RuntimeError: a call failed" in done.stderr
        assert SECRET not in done.stderr
