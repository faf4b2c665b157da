"""What leaves for the platform: every HTTP request counted, and some of them lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

Rule = Callable[[str], bool]


class Wire:
    """The way to the platform, shared by all clients of this process.

    Attributes:
        calls: the requests since the last `clear`, as `VERB path`; lost ones too.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self._lost: Rule = lambda call: False
        self._answer_lost: Rule = lambda call: False
        self._garbled: list[Rule] = []
        send = requests.Session.send

        def pass_on(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            call = f"{request.method} {urlsplit(str(request.url)).path}"
            self.calls.append(call)
            if self._lost(call):
                raise requests.ConnectionError("the cable is pulled", request=request)
            response = send(session, request, **options)
            if self._answer_lost(call):
                raise requests.ConnectionError("the answer is lost", request=request)
            if any(rule(call) for rule in self._garbled):
                response._content, response.status_code = b"<html>Welcome to our network</html>", 200
            return response

        monkeypatch.setattr(requests.Session, "send", pass_on)

    @property
    def changes(self) -> list[str]:
        """The requests that may change something on the platform."""
        return [call for call in self.calls if not call.startswith("GET")]

    def clear(self) -> None:
        """Forget the requests so far."""
        self.calls.clear()

    @contextmanager
    def losing(self, rule: Rule = lambda call: True) -> Iterator[None]:
        """Lose the requests that fit, so that the platform never sees them."""
        self._lost = rule
        try:
            yield
        finally:
            self._lost = lambda call: False

    @contextmanager
    def losing_answers(self, rule: Rule) -> Iterator[None]:
        """Let the platform do what the fitting requests ask for, and lose its answers."""
        self._answer_lost = rule
        try:
            yield
        finally:
            self._answer_lost = lambda call: False

    @contextmanager
    def garbling(self, rule: Rule) -> Iterator[None]:
        """Let the platform do what the fitting requests ask for, and put nonsense in place of its answers."""
        self._garbled.append(rule)
        try:
            yield
        finally:
            self._garbled.remove(rule)
