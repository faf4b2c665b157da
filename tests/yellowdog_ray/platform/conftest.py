from collections.abc import Callable
from typing import Any

import pytest
import requests

from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.platform.client import Platform


@pytest.fixture
def platform(local: RunningPlatform) -> Platform:
    return Platform(Credentials(local.url, local.key_id, local.key_secret), "demo")


@pytest.fixture
def respond(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Replaces the body of every response, and its status by 200."""

    def respond_with(body: bytes) -> None:
        send = requests.Session.get_adapter

        class Replacing:
            def __init__(self, adapter: Any) -> None:
                self._adapter = adapter

            def send(self, request: Any, **options: Any) -> requests.Response:
                response: requests.Response = self._adapter.send(request, **options)
                response._content, response.status_code = body, 200
                return response

        monkeypatch.setattr(requests.Session, "get_adapter", lambda session, url: Replacing(send(session, url)))

    return respond_with
