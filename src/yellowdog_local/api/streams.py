"""Event streams of single entities: the state at once, then after every change.

A stream does not hold the lock while it waits. Every change of the platform wakes it; it then compares its entity with
the last one sent. Changes in quick succession are sent as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from yellowdog_client.model import ComputeRequirementStatus, WorkerPoolStatus

from yellowdog_local.api.encoding import dump
from yellowdog_local.compute.views import requirement_view
from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.settings import Settings

PATHS = (
    "/work/requirements/{id}/updates",
    "/workerPools/{id:ydid}/updates",
    "/compute/requirements/{id}/updates",
)


def _event(settings: Settings, number: int, data: bytes) -> bytes:
    head = f"event: {settings.event_name}\n" + (f"id: {number}\n" if settings.event_ids else "")
    return head.encode() + b"data: " + data + b"\n\n"


# Reads an entity, and whether it is in its final state.
ReadEntity = Callable[[], tuple[Any, bool]]


class EventStreams:
    """The event streams of one platform.

    Args:
        platform: the platform.
        authenticate: raises for a request without the key.
    """

    def __init__(self, platform: LocalPlatform, authenticate: Callable[[LocalPlatform, Request], None]) -> None:
        self._platform = platform
        self._authenticate = authenticate
        self._stopping = False

    def routes(self) -> list[Route]:
        """The routes."""
        readers = (self._work, self._pool, self._requirement)
        return [Route(path, self._serve(reader), methods=["GET"]) for path, reader in zip(PATHS, readers)]  # noqa: B905

    def stop(self) -> None:
        """End all streams now, and later ones after their first event."""
        self._stopping = True
        self._platform.wake_watchers()

    def _serve(self, reader_of: Callable[[str], ReadEntity]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            self._authenticate(self._platform, request)
            with self._platform.locked():
                read = reader_of(request.path_params["id"])
            headers = {"Cache-Control": "no-cache"}
            return StreamingResponse(self._events(read), media_type="text/event-stream", headers=headers)

        return serve

    async def _events(self, read: ReadEntity) -> AsyncIterator[bytes]:
        settings, store, number = self._platform.settings, self._platform.store, 0
        sent = b"" if settings.event_streams_begin_with_state else self._state(read)[0]
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            # Called under the lock, by the thread that has changed something.
            loop.call_soon_threadsafe(changed.set)

        with self._platform.watching(wake):
            while True:
                changed.clear()
                if self._platform.store is not store:
                    return  # the platform was reset: the entity does not exist any more
                data, over = self._state(read)
                if data != sent:
                    sent = data
                    number += 1
                    yield _event(settings, number, data)
                if self._stopping or (over and settings.close_finished_event_streams):
                    return
                try:
                    await asyncio.wait_for(changed.wait(), settings.event_keep_alive_seconds)
                except asyncio.TimeoutError:
                    yield b": keep-alive\n\n"
                else:
                    await asyncio.sleep(0 if self._stopping else settings.event_interval_seconds)

    def _state(self, read: ReadEntity) -> tuple[bytes, bool]:
        with self._platform.locked():
            entity, over = read()
            return dump(entity), over

    def _work(self, work_id: str) -> ReadEntity:
        work, service = self._platform.store.work(work_id), self._platform.work
        return lambda: (service.view(work), work.status.finished)

    def _pool(self, pool_id: str) -> ReadEntity:
        pool, service = self._platform.store.pool(pool_id), self._platform.pools
        return lambda: (service.view(pool), pool.status is WorkerPoolStatus.TERMINATED)

    def _requirement(self, requirement_id: str) -> ReadEntity:
        record = self._platform.store.requirement(requirement_id)
        return lambda: (requirement_view(record), record.status is ComputeRequirementStatus.TERMINATED)
