"""The state of a running local platform, read over its admin routes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from yellowdog_local.service.admin_client import AdminClient
from yellowdog_local.service.directory import ApiKey

Json = dict[str, Any]


@dataclass(frozen=True)
class Overview:
    """The platform's state at one moment.

    Attributes:
        hosts: the instances that are not terminated.
        pools: the worker pools that are not terminated.
        nodes: number of platform nodes by status, terminated ones included.
        tasks: number of tasks by status.
        running: the running tasks.
        live_nodes: the platform nodes that are not terminated.
        groups: the unfinished task groups, with their tasks by status.
        calls: number of API calls.
        faults: number of active faults.
        time: the platform's time.
    """

    hosts: list[Json] = field(default_factory=list)
    pools: list[Json] = field(default_factory=list)
    nodes: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    running: list[Json] = field(default_factory=list)
    live_nodes: list[Json] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    calls: int = 0
    faults: int = 0
    time: str = ""


class OverviewReader:
    """Reads the state; the platform does not record these calls.

    Args:
        url: the platform's URL.
        key: the API key.
    """

    def __init__(self, url: str, key: ApiKey) -> None:
        self._client = AdminClient(url, key)

    def read(self) -> Overview:
        """Read the platform's state.

        Raises:
            LocalPlatformError: the platform does not answer, or refuses.
        """
        answer = self._client.get("/admin/overview")
        return Overview(**{known.name: answer[known.name] for known in fields(Overview)})
