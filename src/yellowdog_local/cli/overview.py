"""What a running local platform holds, as it says itself. Holds no platform object."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from yellowdog_local.service.admin_client import AdminClient
from yellowdog_local.service.directory import ApiKey

Json = dict[str, Any]


@dataclass(frozen=True)
class Overview:
    """The platform at one moment, ready to be shown.

    Attributes:
        hosts: the instances that are not gone.
        pools: the worker pools that have not ended.
        nodes: platform nodes by status, those that are gone included.
        tasks: tasks by status.
        running: the tasks that run.
        live_nodes: the platform nodes that are not gone, one by one.
        groups: the task groups that have not finished, with their tasks by status.
        calls: how many calls there have been.
        faults: how many faults may still strike.
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
    """Asks the platform; such questions are not among the calls that it records.

    Args:
        url: where it is.
        key: the API key.
    """

    def __init__(self, url: str, key: ApiKey) -> None:
        self._client = AdminClient(url, key)

    def read(self) -> Overview:
        """Ask for everything.

        Raises:
            LocalPlatformError: it does not answer, or not as it should.
        """
        said = self._client.get("/admin/overview")
        return Overview(**{known.name: said[known.name] for known in fields(Overview)})
