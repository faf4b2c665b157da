"""The quote of a response in the log: bounded, and without secrets."""

import json

import pytest

from yellowdog_ray.errors import (
    MalformedResponse,
)
from yellowdog_ray.platform.responses import MAX_QUOTE
from yellowdog_ray.redaction import hide


def test_log_quotes_response_bounded_and_without_secrets(platform, respond, caplog):
    secret = "a-key-that-nobody-may-see"
    hide(secret)
    task = {
        "environment": {"AWS_SECRET": "users-own"},
        "taskData": "users-script",
        "name": secret,
    }
    respond(json.dumps({"items": [task, {"tag": "x" * 10 * MAX_QUOTE}]}).encode())

    with pytest.raises(MalformedResponse):
        platform.live_tasks("ydid:workreq:000000:1")

    (record,) = caplog.records
    assert "(omitted)" in record.getMessage()
    assert len(record.getMessage()) < 2 * MAX_QUOTE
    assert not any(private in caplog.text for private in ("users-own", "users-script", secret))
