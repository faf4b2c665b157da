"""The agent's HTTP connection to the platform. Standard library only.

Every call is repeated until the platform answers it, so that no outage loses an event.
"""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.parse
from typing import Any

from yellowdog_local.hosts.guest.log import log

# Longer than any long poll: a connection whose other end has vanished (a cut network) times out in the end.
TIMEOUT_SECONDS = 30.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 5.0

Json = dict[str, Any]


class GoneError(Exception):
    """The platform has terminated this platform node."""


class RefusedError(Exception):
    """The platform has refused a call for a reason that does not pass: it is not repeated."""


class Connection:
    """A kept-alive connection to the platform, for one call at a time.

    Args:
        url: the platform's URL.
        token: the agent's token.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"yd-agent {token}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Make a call; repeat it, with back-off, until the platform answers.

        Raises:
            GoneError: the platform has terminated this platform node.
            RefusedError: the platform has refused the call.
        """
        delay = FIRST_RETRY_SECONDS
        while True:
            status, text = self._try(method, path, body)
            if status == http.HTTPStatus.OK:
                answer: Json = json.loads(text)
                return answer
            if status == http.HTTPStatus.GONE:
                raise GoneError
            if 400 <= status < 500 and status != http.HTTPStatus.TOO_MANY_REQUESTS:
                raise RefusedError(f"{method} {path}: {status} {text[:500]}")
            log(f"{method} {path} failed ({status or text}): retrying in {delay:.1f} s")
            # Jitter: all agents lose the platform at once, and must not all return at once.
            time.sleep(delay * random.uniform(0.7, 1.3))  # noqa: S311
            delay = min(2 * delay, LAST_RETRY_SECONDS)

    def _try(self, method: str, path: str, body: Json | None) -> tuple[int, str]:
        """The status and text of an answer; status 0 and the error where there is none."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = self._connection or kind(self._host, timeout=TIMEOUT_SECONDS)
        self._connection = None
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, self._base + path, payload, self._headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, f"{type(error).__name__}: {error}"
        self._connection = connection
        return response.status, text
