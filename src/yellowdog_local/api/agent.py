"""Routes of the hosts' agents: registration, commands by long poll, events. The protocol is our own."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from yellowdog_local.agents import Session
from yellowdog_local.api.json_input import read_json
from yellowdog_local.errors import InvalidRequest, Unauthorized
from yellowdog_local.messages import ActionEnd, AgentEvent, Command, Registration
from yellowdog_local.platform import LocalPlatform

_SCHEME = "yd-agent "


class _Poll(BaseModel):
    model_config = ConfigDict(extra="ignore")

    after: int = Field(default=0, ge=0)
    wait: float = Field(default=0.0, ge=0, le=20)


class _Events(BaseModel):
    model_config = ConfigDict(extra="ignore")

    events: list[Annotated[AgentEvent | ActionEnd, Field(discriminator="type")]]


class AgentRoutes:
    """The agents' routes of one platform."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self._stopping = False

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/agent/register", self._register, methods=["POST"]),
            Route("/agent/nodes/{id}/commands", self._commands, methods=["GET"]),
            Route("/agent/nodes/{id}/events", self._events, methods=["POST"]),
        ]

    def stop(self) -> None:
        """Answer all open polls now, and all later ones at once."""
        self._stopping = True
        with self._platform.locked():
            self._platform.agents.wake_all()

    async def _register(self, request: Request) -> JSONResponse:
        token = _token(request)
        self._check_known(token)
        registration = _parsed(Registration, read_json(await request.body(), request.headers))
        settings = self._platform.settings
        with self._platform.locked():
            node_id = self._platform.agents.register(token, registration)
        answer = {
            "nodeId": node_id,
            "heartbeatSeconds": settings.heartbeat_period_seconds,
            "abortGraceSeconds": settings.abort_grace_seconds,
            "abortProcessGroup": settings.abort_signals_process_group,
            "taskEnvironment": settings.task_environment,
            "taskUmask": settings.task_umask,
        }
        return JSONResponse(answer)

    async def _events(self, request: Request) -> JSONResponse:
        token, node_id = _token(request), request.path_params["id"]
        with self._platform.locked():
            self._platform.agents.session(node_id, token)  # refuses before the body is read
        events = _parsed(_Events, read_json(await request.body(), request.headers)).events
        with self._platform.locked():
            session = self._platform.agents.session(node_id, token)
            self._platform.agents.report(session, events)
        return JSONResponse({})

    async def _commands(self, request: Request) -> JSONResponse:
        token, poll = _token(request), _parsed(_Poll, dict(request.query_params))
        node_id = request.path_params["id"]
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            # Called by the thread that sends the command.
            loop.call_soon_threadsafe(woken.set)

        with self._platform.locked():
            session = self._platform.agents.session(node_id, token)
            commands = self._platform.agents.commands(session, poll.after)
            if commands or poll.wait == 0 or self._stopping:
                return _answer(commands)
            session.wakers.append(wake)
            session.polls += 1
        try:
            await asyncio.wait_for(woken.wait(), poll.wait)
        except asyncio.TimeoutError:
            pass
        finally:
            self._leave(session, wake)
        with self._platform.locked():
            session = self._platform.agents.session(node_id, token)
            return _answer(self._platform.agents.commands(session, poll.after))

    def _check_known(self, token: str) -> None:
        """Refuse a token of no instance and no configured pool, before the body is read."""
        with self._platform.locked():
            store = self._platform.store
            pools = (members.token.secret or "" for members in store.members.values())
            if token not in store.instances_by_token and not any(secrets.compare_digest(token, one) for one in pools):
                raise Unauthorized("Unknown agent token")

    def _leave(self, session: Session, wake: Any) -> None:
        with self._platform.locked():
            session.polls -= 1
            session.wakers.remove(wake)


def _answer(commands: list[Command]) -> JSONResponse:
    return JSONResponse({"commands": commands})


def _token(request: Request) -> str:
    header = request.headers.get("authorization", "")
    if not header.startswith(_SCHEME) or not header.isascii():
        raise Unauthorized("An agent token is required: Authorization: yd-agent <token>")
    return header[len(_SCHEME) :]


def _parsed(model: type[Any], body: Any) -> Any:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(f"the agent's request is malformed: {error}") from error
