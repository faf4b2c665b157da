"""Admin routes: faults, recorded calls, reset, the clock, an overview. Not part of YellowDog's API.

They demand the API's key. Faults do not apply to them, and they are not recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from yellowdog_local.api.json_input import read_json
from yellowdog_local.api.overviews import overview
from yellowdog_local.errors import Conflict, InvalidRequest
from yellowdog_local.faults import InvalidRule, RuleState, parse
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.recording import CallsDropped
from yellowdog_local.state.clock import SteppedClock

_Handler = Callable[[Request], Awaitable[Any]]


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(ge=0)


class _Since(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: int = Field(default=0, ge=0)
    limit: int = Field(default=1000, ge=1, le=100_000)


class AdminRoutes:
    """The admin routes of one platform.

    Args:
        platform: the platform.
        authenticate: raises for a request without the key.
    """

    def __init__(self, platform: LocalPlatform, authenticate: Callable[[LocalPlatform, Request], None]) -> None:
        self._platform = platform
        self._authenticate = authenticate

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            self._route("GET", "/admin/faults", self._list_faults),
            self._route("POST", "/admin/faults", self._add_fault),
            self._route("DELETE", "/admin/faults", self._clear_faults),
            self._route("DELETE", "/admin/faults/{id}", self._remove_fault),
            self._route("GET", "/admin/calls", self._list_calls),
            self._route("GET", "/admin/calls/routes", self._count_calls),
            self._route("GET", "/admin/overview", self._overview),
            self._route("POST", "/admin/clock", self._step_clock),
            self._route("POST", "/admin/reset", self._reset),
        ]

    def _route(self, method: str, path: str, handler: _Handler) -> Route:
        async def serve(request: Request) -> Response:
            self._authenticate(self._platform, request)
            return JSONResponse(await handler(request))

        return Route(path, serve, methods=[method])

    async def _list_faults(self, _request: Request) -> Any:
        return {"faults": [_rule_state(one) for one in self._platform.faults.rules()]}

    async def _add_fault(self, request: Request) -> Any:
        body = read_json(await request.body(), request.headers)
        try:
            rule = parse(body)
        except InvalidRule as error:
            raise InvalidRequest(str(error)) from error
        return _rule_state(self._platform.faults.state(self._platform.faults.add(rule)))

    async def _clear_faults(self, _request: Request) -> Any:
        self._platform.faults.clear()
        return {}

    async def _remove_fault(self, request: Request) -> Any:
        rule_id = request.path_params["id"]
        state = self._platform.faults.state(rule_id)
        self._platform.faults.remove(rule_id)
        return _rule_state(state)

    async def _list_calls(self, request: Request) -> Any:
        query = _parsed(_Since, dict(request.query_params))
        try:
            calls = self._platform.calls.since(query.since, limit=query.limit)
        except CallsDropped as error:
            raise Conflict(str(error)) from error
        return {"mark": calls[-1].number if calls else query.since, "calls": [call.as_json() for call in calls]}

    async def _count_calls(self, _request: Request) -> Any:
        calls = self._platform.calls
        return {"mark": calls.mark(), "routes": [asdict(count) for count in calls.routes()]}

    async def _overview(self, _request: Request) -> Any:
        return overview(self._platform)

    async def _step_clock(self, request: Request) -> Any:
        clock = self._platform.clock
        if not isinstance(clock, SteppedClock):
            raise Conflict("the platform's clock runs in real time: it cannot be stepped")
        step = _parsed(_Step, read_json(await request.body(), request.headers))
        await run_in_threadpool(clock.advance, step.seconds)
        return {"time": clock.now().isoformat()}

    async def _reset(self, _request: Request) -> Any:
        await run_in_threadpool(self._platform.reset)
        return {}


def _rule_state(one: RuleState) -> dict[str, Any]:
    # Without defaults: a rule is shown as it was sent.
    rule = {"kind": one.rule.kind, **one.rule.model_dump(exclude_unset=True)}
    return {"id": one.id, "rule": rule, "matched": one.matched, "applied": one.applied, "spent": one.spent}


def _parsed(model: type[Any], value: Any) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InvalidRequest(wrong) from error
