"""A client for a running platform's admin routes. Prints nothing."""

from __future__ import annotations

from typing import Any

import requests

from yellowdog_local.service.directory import ApiKey, LocalPlatformError

TIMEOUT_SECONDS = 10.0
RESET_TIMEOUT_SECONDS = 90.0


class AdminClient:
    """Calls the admin routes of a running platform.

    Args:
        url: the platform's URL.
        key: the API key.
    """

    def __init__(self, url: str, key: ApiKey) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy of the environment leads to the hosts' bridge
        self._session.headers["Authorization"] = f"yd-key {key.key_id}:{key.secret}"
        self._session.headers["User-Agent"] = "raydog-local"

    def get(self, path: str, **query: Any) -> Any:
        """Call a GET route; its JSON.

        Raises:
            LocalPlatformError: the platform does not answer, or refuses.
        """
        return self._call("GET", path, params=query)

    def post(self, path: str, body: Any = None, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Any:
        """Call a POST route; its JSON.

        Raises:
            LocalPlatformError: the platform does not answer, or refuses.
        """
        return self._call("POST", path, json=body, timeout=timeout_seconds)

    def delete(self, path: str) -> Any:
        """Call a DELETE route; its JSON.

        Raises:
            LocalPlatformError: the platform does not answer, or refuses.
        """
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        options.setdefault("timeout", TIMEOUT_SECONDS)
        try:
            response = self._session.request(method, self._url + path, **options)
        except requests.RequestException as error:
            raise LocalPlatformError(
                f"the platform at {self._url} does not answer ({type(error).__name__}): see `raydog local logs`"
            ) from error
        if response.status_code != requests.codes.ok:
            raise LocalPlatformError(_refusal(method, path, response))
        return response.json()


def _refusal(method: str, path: str, response: requests.Response) -> str:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text[:200]
    if 400 <= response.status_code < 500 and response.status_code != requests.codes.unauthorized:
        return str(message)  # the request was invalid: the message says why
    return (
        f"the platform refused {method} {path}: {response.status_code} {str(message)[:200]} (see `raydog local logs`)"
    )
