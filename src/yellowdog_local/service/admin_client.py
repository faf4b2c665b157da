"""Asks a running platform over its administrator's routes. Holds no platform object, and prints nothing."""

from __future__ import annotations

from typing import Any

import requests

from yellowdog_local.service.directory import ApiKey, LocalPlatformError

TIMEOUT_SECONDS = 10.0
RESET_SECONDS = 90.0


class AdminClient:
    """The administrator's side of a running platform.

    Args:
        url: where it is.
        key: the API key.
    """

    def __init__(self, url: str, key: ApiKey) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment does not know the hosts' bridge
        self._session.headers["Authorization"] = f"yd-key {key.key_id}:{key.secret}"
        self._session.headers["User-Agent"] = "raydog-local"

    def get(self, path: str, **query: Any) -> Any:
        """Ask for something.

        Raises:
            LocalPlatformError: it does not answer, or refuses.
        """
        return self._call("GET", path, params=query)

    def post(self, path: str, body: Any = None, *, patience_seconds: float = TIMEOUT_SECONDS) -> Any:
        """Ask it to do something.

        Raises:
            LocalPlatformError: it does not answer, or refuses.
        """
        return self._call("POST", path, json=body, timeout=patience_seconds)

    def delete(self, path: str) -> Any:
        """Ask it to remove something.

        Raises:
            LocalPlatformError: it does not answer, or refuses.
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
        return str(message)  # you asked for something that cannot be: it says what
    return (
        f"the platform refused {method} {path}: {response.status_code} {str(message)[:200]} (see `raydog local logs`)"
    )
