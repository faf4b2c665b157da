"""What a running local platform holds, asked over its own API as any client would. Holds no platform object."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import requests

from yellowdog_local.directory import ApiKey, LocalPlatformError

TIMEOUT_SECONDS = 10.0
TASKS_SHOWN = 200
ALIVE = ("PENDING", "RUNNING")
FINISHED_POOLS = ("SHUTDOWN", "TERMINATED")

Json = dict[str, Any]


@dataclass(frozen=True)
class Overview:
    """The platform at one moment, ready to be shown.

    Attributes:
        hosts: the instances that are not gone.
        pools: the worker pools that have not ended.
        nodes: platform nodes by status.
        tasks: tasks by status.
        running: the tasks that run.
    """

    hosts: list[Json] = field(default_factory=list)
    pools: list[Json] = field(default_factory=list)
    nodes: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    running: list[Json] = field(default_factory=list)


class OverviewReader:
    """Asks the platform.

    Args:
        url: where it is.
        key: the API key.
    """

    def __init__(self, url: str, key: ApiKey) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment does not know the hosts' bridge
        self._session.headers["Authorization"] = f"yd-key {key.key_id}:{key.secret}"

    def read(self) -> Overview:
        """Ask for everything.

        Raises:
            LocalPlatformError: it does not answer, or not as it should.
        """
        instances = self._all("/compute/instances", statuses=ALIVE)
        nodes = self._all("/workerPools/nodes")
        pools = self._all("/workerPools/")
        # A search answers with summaries only, which do not count tasks by status.
        work = [self._get(f"/work/requirements/{found['id']}", {}) for found in self._all("/work/requirements")]
        running = self._all("/work/tasks", limit=TASKS_SHOWN, statuses=("EXECUTING",))
        by_pool = Counter(node.get("workerPoolId") for node in nodes if node.get("status") == "RUNNING")
        instance_of = {node["id"]: node["details"]["instanceId"] for node in nodes}
        counts: Counter[str] = Counter()
        for requirement in work:
            for group in requirement.get("taskGroups") or ():
                counts.update((group.get("taskSummary") or {}).get("statusCounts") or {})
        return Overview(
            hosts=[_host(instance) for instance in instances],
            pools=[
                {"name": pool.get("name"), "status": pool.get("status"), "nodes": by_pool[pool.get("id")]}
                for pool in pools
                if pool.get("status") not in FINISHED_POOLS
            ],
            nodes=dict(sorted(Counter(str(node.get("status")) for node in nodes).items())),
            tasks=dict(sorted((name, number) for name, number in counts.items() if number)),
            running=[
                {"id": task["id"], "name": task.get("name"), "host": instance_of.get(task.get("nodeId"))}
                for task in running
            ],
        )

    def _all(self, path: str, limit: int | None = None, **search: object) -> list[Json]:
        found: list[Json] = []
        parameters: dict[str, Any] = {"sliced": "true", "size": 1000, **search}
        while True:
            answer = self._get(path, parameters)
            if isinstance(answer, list):
                return answer
            found += answer.get("items") or []
            following = answer.get("nextSliceId")
            if not following or (limit is not None and len(found) >= limit):
                return found[:limit]
            parameters["sliceId"] = following

    def _get(self, path: str, parameters: dict[str, Any]) -> Any:
        try:
            response = self._session.get(self._url + path, params=parameters, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise LocalPlatformError(
                f"the platform at {self._url} does not answer ({type(error).__name__}): see `raydog local logs`"
            ) from error
        if response.status_code != requests.codes.ok:
            raise LocalPlatformError(
                f"the platform refused GET {path}: {response.status_code} {response.text[:200]} "
                f"(see `raydog local logs`)"
            )
        return response.json()


def _host(instance: Json) -> Json:
    return {
        "instance": (instance.get("id") or {}).get("instanceId"),
        "status": instance.get("status"),
        "address": instance.get("privateIpAddress"),
    }
