"""Generates the table of SDK calls that the local platform covers, from the SDK's code and the platform's routes.

`python -m yellowdog_local.coverage > docs/coverage.md` writes the page; a test compares it with this module's output.
Every method of the SDK's service proxies is called with example arguments on a proxy that records the request. A
request is covered if a route matches it.
"""

from __future__ import annotations

import ast
import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from starlette.routing import Match, Route
from yellowdog_client import __version__ as sdk_version
from yellowdog_client.account import AccountServiceProxy, ApplicationServiceProxy, KeyringServiceProxy
from yellowdog_client.cloud_info import CloudInfoProxy
from yellowdog_client.common import Proxy
from yellowdog_client.compute import ComputeServiceProxy
from yellowdog_client.images import ImagesServiceProxy
from yellowdog_client.namespaces import NamespacesServiceProxy
from yellowdog_client.scheduler import WorkerPoolServiceProxy, WorkServiceProxy
from yellowdog_client.usage import AllowancesServiceProxy

from yellowdog_local.api import streams
from yellowdog_local.api.app import ENDPOINTS

SERVICES: dict[str, type[Any]] = {
    "Work": WorkServiceProxy,
    "Worker pools": WorkerPoolServiceProxy,
    "Compute": ComputeServiceProxy,
    "Namespaces": NamespacesServiceProxy,
    "Images": ImagesServiceProxy,
    "Keyrings": KeyringServiceProxy,
    "Allowances": AllowancesServiceProxy,
    "Application": ApplicationServiceProxy,
    "Account": AccountServiceProxy,
    "Cloud info": CloudInfoProxy,
}
_ID = "ydid:any:0:any"
_NAME = "any"
_COMPUTED_REFUSALS = {
    "The attribute … of a dynamic template": "Certain attributes of a dynamic template",
    "The node action …": "Node actions of other kinds",
}
"""Texts with a computed part, marked …, and the words for all that it can be."""


@dataclass(frozen=True)
class SdkCall:
    """A method of the SDK, its request, and the platform's route for it; None without one."""

    service: str
    name: str
    method: str
    path: str
    route: str | None


class _Recorded(BaseException):
    """The request of a method, raised in its place; no SDK code catches it."""

    def __init__(self, method: str, url: str) -> None:
        super().__init__(method, url)
        self.method, self.path = method, url.split("?")[0]


class _RecordingProxy(Proxy):
    """Raises each request instead of making it."""

    def __init__(self, base_url: str = "") -> None:
        self._url = base_url

    def append_base_url(self, base_url: str | None) -> Proxy:
        return _RecordingProxy(self._url + (base_url or ""))

    def execute(self, method: str, url: str = "", *_args: Any, **_kwargs: Any) -> typing.NoReturn:
        raise _Recorded(method, self._url + url)

    def raw_execute(self, method: str, url: str = "", *_args: Any, **_kwargs: Any) -> typing.NoReturn:
        raise _Recorded(method, self._url + url)

    def stream(self, url: str = "") -> typing.NoReturn:
        raise _Recorded("GET", self._url + url)

    @staticmethod
    def to_params(*_args: Any) -> dict[str, str]:
        return {}


class _Entity:
    """An argument in the place of any entity."""

    id = _ID
    namespace = name = _NAME


def sdk_calls() -> Iterator[SdkCall]:
    """All calls of the SDK, by service."""
    routes = [(endpoint.path, Route(endpoint.path, _answer, methods=[endpoint.method])) for endpoint in ENDPOINTS]
    routes += [(path, Route(path, _answer, methods=["GET"])) for path in streams.PATHS]
    for service, proxy_class in SERVICES.items():
        proxy = proxy_class(_RecordingProxy())
        for name, method in inspect.getmembers(proxy, inspect.ismethod):
            if not name.startswith("_"):
                request = _request_of(method)
                shown = _shown(request.path, _samples(method))
                yield SdkCall(service, name, request.method, shown, _route_for(request, routes))


def refusals() -> list[str]:
    """The parts of covered calls that are refused as not covered, from the source code."""
    found = set()
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NotCovered":
                found.add(_text_of(node.args[0]))
    return sorted(_COMPUTED_REFUSALS.get(text, text) for text in found if text.strip(" …"))


def render() -> str:
    """The page."""
    calls = list(sdk_calls())
    covered = [call for call in calls if call.route is not None]
    lines = [
        "# SDK coverage of the local platform",
        "",
        "`python -m yellowdog_local.coverage` generates this page from the official SDK and the platform's routes.",
        "The platform answers calls that this page does not list as covered with status 422 and the error type",
        "`NotCoveredException`.",
        "",
        f"yellowdog-sdk {sdk_version}: {len(covered)} of {len(calls)} calls are covered.",
    ]
    for service in SERVICES:
        lines += ["", f"## {service}", "", "| call of the SDK | request | covered |", "| --- | --- | --- |"]
        lines += [
            f"| `{call.name}` | `{call.method} {call.path}` | {'yes' if call.route is not None else '**no**'} |"
            for call in calls
            if call.service == service
        ]
    lines += ["", "## Routes beyond the SDK", "", "The official CLI calls these routes without the SDK:", ""]
    lines += [f"- `{line}`" for line in _beyond({call.route for call in calls})]
    lines += ["", "## Refused within covered calls", "", "These are answered with `NotCoveredException` too:", ""]
    lines += [f"- {text}" for text in refusals()]
    return "\n".join(lines) + "\n"


def _beyond(answered: set[str | None]) -> list[str]:
    known = {route.split(" ", 1)[1] for route in answered if route is not None}
    return [f"{e.method} {e.path}" for e in ENDPOINTS if e.path.replace("//", "/") not in known and "//" not in e.path]


def _request_of(method: Any) -> _Recorded:
    try:
        method(*_arguments(method))
    except _Recorded as request:
        return request
    raise RuntimeError(f"{method.__qualname__} of the SDK makes no request")


def _arguments(method: Any) -> Iterator[Any]:
    hints = typing.get_type_hints(method)
    for name in inspect.signature(method).parameters:
        hint = hints.get(name)
        if isinstance(hint, type) and issubclass(hint, Enum):
            yield next(iter(hint))
        elif hint is int:
            yield 1
        elif hint is str:
            yield _ID if name.endswith("_id") else _NAME
        else:
            yield _Entity()


def _route_for(request: _Recorded, routes: list[tuple[str, Route]]) -> str | None:
    path = request.path if request.path == "/" else request.path.rstrip("/")
    scope = {"type": "http", "method": request.method, "path": path, "root_path": ""}
    for route_path, route in routes:
        if route.matches(scope)[0] is Match.FULL:
            return f"{request.method} {route_path}"
    return None


def _samples(method: Any) -> dict[str, str]:
    """The example arguments that are numbers or constants, as a path has them, and the last word of each one's name."""
    arguments = zip(inspect.signature(method).parameters, _arguments(method), strict=True)
    return {
        str(argument.value if isinstance(argument, Enum) else argument): name.rpartition("_")[2]
        for name, argument in arguments
        if isinstance(argument, Enum | int)
    }


def _shown(path: str, samples: Mapping[str, str]) -> str:
    """A path with the names of its arguments in place of the examples."""
    parts = (f"{{{samples[part]}}}" if part in samples else part for part in path.split("/"))
    return "/".join(parts).replace(_ID, "{id}").replace(f"/{_NAME}", "/{name}")


def _text_of(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


async def _answer(*_args: Any) -> None:
    """Never called: routes are only matched."""


if __name__ == "__main__":
    sys.stdout.write(render())
