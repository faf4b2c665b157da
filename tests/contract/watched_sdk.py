"""Watches the SDK in contract tests: successful calls, and values lost from answers.

The SDK silently loads values that it cannot read as None. So the SDK writes each answer back to JSON, which must equal
what the platform sent: no unknown field, no unreadable value.

One defect of the SDK is repaired meanwhile. After the end of an event stream, its reading thread runs for ever without
a pause (yellowdog-sdk 15.9), and would take a whole core from every test that follows.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from requests import Response
from yellowdog_client.common import Proxy
from yellowdog_client.common.json import Json
from yellowdog_client.common.server_sent_events.sse4python.sse_stream import SseStream

from yellowdog_local import coverage

# Calls that returned, as "<service>.<method>".
called: set[str] = set()
_last = threading.local()


@contextmanager
def watched() -> Iterator[None]:
    """Watch every client of the SDK in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for service, proxy_class in coverage.SERVICES.items():
            for name, method in inspect.getmembers(proxy_class, inspect.isfunction):
                if not name.startswith("_"):
                    patch.setattr(proxy_class, name, _noting(f"{service}.{name}", method))
        patch.setattr(Proxy, "raw_execute", _remembering(Proxy.raw_execute))
        patch.setattr(Proxy, "execute", _comparing(Proxy.execute))
        patch.setattr(SseStream, "_read_line", _ending(SseStream._read_line))
        yield


def covered() -> set[str]:
    """The covered calls of docs/coverage.md."""
    return {f"{call.service}.{call.name}" for call in coverage.sdk_calls() if call.route is not None}


def lost(sent: Any, kept: Any, path: str = "") -> Iterator[str]:
    """The places where the SDK's object differs from the answer.

    A null is the same as nothing. Strings count in any order: the SDK keeps some lists of them as sets.
    """
    if isinstance(sent, dict) and isinstance(kept, dict):
        for key in sorted(sent.keys() | kept.keys()):
            yield from lost(sent.get(key), kept.get(key), f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        if all(isinstance(value, str) for value in sent + kept):
            sent, kept = sorted(sent), sorted(kept)
        for number, (one, other) in enumerate(zip(sent, kept, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif sent != kept:
        yield f"{path or 'the answer'}: sent {sent!r}, the SDK made it {kept!r}"


def _noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        called.add(name)
        return answer

    return call


def _remembering(raw_execute: Callable[..., Response]) -> Callable[..., Response]:
    @functools.wraps(raw_execute)
    def call(*args: Any, **kwargs: Any) -> Response:
        _last.response = raw_execute(*args, **kwargs)
        return _last.response

    return call


def _comparing(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    def call(self: Proxy, method: str, url: str = "", *args: Any, **kwargs: Any) -> Any:
        answer = execute(self, method, url, *args, **kwargs)
        if answer is not None:
            differences = list(lost(_last.response.json(), Json.dump(answer)))
            assert not differences, f"{method} {url}: " + "; ".join(differences)
        return answer

    return call


def _ending(read_line: Callable[[SseStream], bytes]) -> Callable[[SseStream], bytes]:
    @functools.wraps(read_line)
    def call(self: SseStream) -> bytes:
        line = read_line(self)
        if not line:
            raise StopIteration
        return line

    return call
