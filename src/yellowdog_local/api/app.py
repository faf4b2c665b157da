"""The HTTP application: all routes, authentication, and the form of errors. No logic."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from yellowdog_local.api import (
    account,
    allowances,
    application,
    cloud_info,
    compute,
    images,
    keyrings,
    namespaces,
    work,
    worker_pools,
)
from yellowdog_local.api.admin import AdminRoutes
from yellowdog_local.api.agent import AgentRoutes
from yellowdog_local.api.bodies import BodyLimits
from yellowdog_local.api.dated import Dated
from yellowdog_local.api.encoding import dump, error_body
from yellowdog_local.api.faulty import FaultyCalls
from yellowdog_local.api.json_input import read_json
from yellowdog_local.api.recorder import Recorder, RouteNames
from yellowdog_local.api.refusals import status_and_type
from yellowdog_local.api.routing import Call, Endpoint, PlainText
from yellowdog_local.api.streams import EventStreams
from yellowdog_local.call_patterns import route_name
from yellowdog_local.errors import ApiError, NotCovered, Unauthorized
from yellowdog_local.platform import LocalPlatform

_log = logging.getLogger(__name__)
_JSON = "application/json"
ENDPOINTS: tuple[Endpoint, ...] = (
    *work.ENDPOINTS,
    *worker_pools.ENDPOINTS,
    *compute.ENDPOINTS,
    *namespaces.ENDPOINTS,
    *application.ENDPOINTS,
    *account.ENDPOINTS,
    *images.ENDPOINTS,
    *keyrings.ENDPOINTS,
    *allowances.ENDPOINTS,
    *cloud_info.ENDPOINTS,
)


class _Ydid(StringConvertor):
    """A path segment that is an id."""

    regex = "ydid:[^/]+"


class _Label(StringConvertor):
    """A path segment that is a name."""

    regex = "(?!ydid:)[^/]+"


register_url_convertor("ydid", _Ydid())
register_url_convertor("label", _Label())


class InternalError(ApiError):
    """The platform has a bug; the log has its traceback."""

    status = 500
    error_type = "InternalServerException"


def create_app(platform: LocalPlatform, *, limit_bodies: bool = True) -> Starlette:
    """The ASGI application of a platform. `app.state.agents` and `app.state.streams` can `stop()` what is open.

    Without `limit_bodies` a call whose body is complete needs no event loop; simulations call the application that way.
    """
    agents = AgentRoutes(platform)
    streams = EventStreams(platform, authenticate)
    admin = AdminRoutes(platform, authenticate)
    # A call is compared with one route after the other: the most frequent ones come first.
    routes = [*streams.routes(), *_routes(platform), *agents.routes(), *admin.routes()]
    names = RouteNames(routes)
    middleware = [
        Middleware(Dated, platform.clock),
        Middleware(Recorder, platform.calls, names),
        *([Middleware(BodyLimits)] if limit_bodies else []),
        Middleware(FaultyCalls, platform.faults, names),
    ]
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=_handlers(platform))
    app.router.redirect_slashes = False
    app.add_exception_handler(HTTPException, _unknown_route(platform))
    app.state.agents = agents
    app.state.streams = streams
    return app


def _routes(platform: LocalPlatform) -> Iterator[Route]:
    servers = [(endpoint, _server(platform, endpoint)) for endpoint in ENDPOINTS]
    for end in ("", "/"):
        for endpoint, serve in servers:
            yield Route(endpoint.path + end, serve, methods=[endpoint.method])


def _server(platform: LocalPlatform, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    name = route_name(endpoint.path)

    async def serve(request: Request) -> Response:
        authenticate(platform, request)
        body = read_json(await request.body(), request.headers)
        call = Call(platform, request.path_params, request.query_params, body, endpoint.method, name)
        # The answer is encoded under the lock: entities may change as soon as it is released.
        try:
            with platform.locked():
                return _answer(endpoint.handler(call))
        except ApiError:
            raise
        except Exception as error:  # noqa: BLE001 - an error that leaves the application makes uvicorn close the
            # connection after the response, while a client may already use it for its next call
            return _failure(platform, request, error)

    return serve


def authenticate(platform: LocalPlatform, request: Request) -> None:
    """Check the key of a call.

    Raises:
        Unauthorized: the platform's key is missing or wrong.
    """
    match = re.fullmatch(r"yd-key ([^:]*):(.*)", request.headers.get("authorization", ""))
    shown = f"{match[1]}:{match[2]}" if match else ""
    if not hmac.compare_digest(shown.encode(), ":".join(platform.api_key).encode()):
        raise Unauthorized("Unauthorized: the application key is missing or wrong")


def _answer(result: object) -> Response:
    if result is None:
        return Response()
    if isinstance(result, PlainText):
        return PlainTextResponse(result)
    return Response(dump(result), media_type=_JSON)


def _handlers(platform: LocalPlatform) -> dict[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    async def refused(_request: Request, error: Exception) -> Response:
        if not isinstance(error, ApiError):
            raise error
        return _refusal(platform, error)

    async def failed(request: Request, error: Exception) -> Response:
        return _failure(platform, request, error)

    return {ApiError: refused, Exception: failed}


def _failure(platform: LocalPlatform, request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _refusal(platform, InternalError(f"{type(error).__name__}: {error}"))


def _refusal(platform: LocalPlatform, error: ApiError) -> Response:
    status, error_type = status_and_type(error, platform.settings)
    return Response(error_body(error_type, error.message), status_code=status, media_type=_JSON)


def _unknown_route(platform: LocalPlatform) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, _error: Exception) -> Response:
        try:
            authenticate(platform, request)
        except Unauthorized as error:
            return _refusal(platform, error)
        return _refusal(platform, NotCovered(f"{request.method} {request.url.path}"))

    return answer
