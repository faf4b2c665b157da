"""The account of a live run, from the environment, and what one cluster has on it. Calls the SDK, not RayDog."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    ComputeRequirementStatus,
    ComputeRequirementSummarySearch,
    ServicesSchema,
    Task,
    TaskSearch,
    TaskStatus,
    WorkerPoolSearch,
    WorkerPoolStatus,
    WorkRequirementSearch,
)

from yellowdog_ray.credentials import DEFAULT_URL

_ENDED_POOL = (WorkerPoolStatus.SHUTDOWN, WorkerPoolStatus.TERMINATED)
"""The statuses of a pool that makes no machine any more. Its compute requirement shows those that it still has."""

VARIABLES = {
    "YD_API_KEY_ID": "id of an application's key",
    "YD_API_KEY_SECRET": "its secret",
    "RAYDOG_LIVE_NAMESPACE": "namespace of the clusters",
    "RAYDOG_LIVE_TEMPLATE": "compute requirement template of head and workers, whose image has Ray",
    "RAYDOG_LIVE_SSH_KEY": "file of the private key that the machines accept",
}
"""The variables that a live run needs."""

OPTIONS = {
    "YD_API_URL": f"address of the API ({DEFAULT_URL})",
    "RAYDOG_LIVE_SSH_USER": "user of SSH (yd-agent)",
    "RAYDOG_LIVE_USERDATA": "file of user data, for a template whose image has no Ray (none)",
    "RAYDOG_LIVE_MACHINE_MINUTES": "machine-minutes of one lifecycle run, 1 to 1440; the run ends at this limit (60)",
}
"""The variables that a live run may have, with their defaults."""


MAX_MACHINE_MINUTES = 1440
"""The most machine-minutes of one life: all its machines for six hours."""


class AccountError(Exception):
    """The environment does not describe a usable account."""


class NoAccountError(AccountError):
    """The environment describes no account: a variable is missing."""


@dataclass(frozen=True)
class Access:
    """What is needed to read and to remove a cluster.

    Attributes:
        url, key_id, secret: the API and its key.
        namespace: of the cluster.
    """

    url: str
    key_id: str
    secret: str
    namespace: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Access:
        """The access that an environment describes, which `Account.of` has accepted. Reads no file."""
        return cls(
            environment.get("YD_API_URL") or DEFAULT_URL,
            environment["YD_API_KEY_ID"],
            environment["YD_API_KEY_SECRET"],
            environment["RAYDOG_LIVE_NAMESPACE"],
        )


@dataclass(frozen=True)
class Account(Access):
    """Where a live run takes place.

    Attributes:
        template: of the cluster.
        ssh_key, ssh_user: for logins to its machines.
        userdata: user data of the machines, or None.
        machine_minutes: limit of one life.
    """

    template: str
    ssh_key: Path
    ssh_user: str
    userdata: str | None
    machine_minutes: float

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Account:
        """The account that the environment describes.

        Raises:
            NoAccountError: a variable is missing.
            AccountError: a value is invalid.
        """
        if missing := [name for name in VARIABLES if not environment.get(name)]:
            raise NoAccountError(f"set {', '.join(missing)}")
        access = Access.from_environment(environment)
        userdata = environment.get("RAYDOG_LIVE_USERDATA")
        try:
            return cls(
                access.url,
                access.key_id,
                access.secret,
                access.namespace,
                environment["RAYDOG_LIVE_TEMPLATE"],
                Path(environment["RAYDOG_LIVE_SSH_KEY"]).expanduser().resolve(strict=True),
                environment.get("RAYDOG_LIVE_SSH_USER") or "yd-agent",
                Path(userdata).read_text(encoding="utf-8") if userdata else None,
                _machine_minutes(environment.get("RAYDOG_LIVE_MACHINE_MINUTES") or "60"),
            )
        except (OSError, ValueError) as error:
            raise AccountError(str(error)) from error


def _machine_minutes(text: str) -> float:
    minutes = float(text)
    if not 1 <= minutes <= MAX_MACHINE_MINUTES:  # also refuses NaN
        raise ValueError(f"RAYDOG_LIVE_MACHINE_MINUTES must be 1 to {MAX_MACHINE_MINUTES}, and is {text}")
    return minutes


class ClusterView:
    """One cluster as the platform shows it. Its name is unlike every other name of the account.

    Args:
        account: the account.
        name: the cluster's name.
    """

    def __init__(self, account: Access, name: str) -> None:
        self._namespace = account.namespace
        self._name = name
        self._client = PlatformClient.create(
            ServicesSchema(defaultUrl=account.url), ApiKey(account.key_id, account.secret)
        )

    def workers(self, *statuses: TaskStatus) -> list[Task]:
        """The tasks of workers of these statuses; of all that have not ended, without any."""
        wanted = list(statuses) or [status for status in TaskStatus if not status.finished]
        found: list[Task] = []
        for work_id in self._works().values():
            found += self._client.work_client.get_tasks(
                TaskSearch(workRequirementId=work_id, statuses=wanted)
            ).list_all()
        return [task for task in found if not str(task.name).startswith("head-")]

    def machines(self) -> int:
        """The number of live instances."""
        search = ComputeRequirementSummarySearch(namespaces=[self._namespace], name=self._name)
        found = self._client.compute_client.get_compute_requirement_summaries(search).list_all()
        return sum(summary.aliveInstanceCount for summary in found if self._is_ours(summary.name))

    def left(self) -> list[str]:
        """What has not ended: names of work requirements, worker pools and compute requirements."""
        return [name for name, _ in self._unfinished()]

    def remove(self) -> None:
        """Request the end of everything once; a call that fails is left to the next attempt."""
        for _, end in self._unfinished():
            try:
                end()
            except Exception as error:  # noqa: BLE001 - whatever fails, the rest must end
                print(f"  {error}", flush=True)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _is_ours(self, name: str | None) -> bool:
        return name == self._name or str(name).startswith(f"{self._name}-")

    def _unfinished(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Kind and name of what has not ended, and the call that ends it."""
        work, pools, compute = self._client.work_client, self._client.worker_pool_client, self._client.compute_client
        for name, work_id in self._works().items():
            yield f"work requirement {name}", lambda id_=work_id: work.cancel_work_requirement_by_id(id_, abort=True)
        for pool in pools.get_worker_pools(WorkerPoolSearch(namespaces=[self._namespace], name=self._name)).list_all():
            if self._is_ours(pool.name) and pool.status not in _ENDED_POOL:
                yield f"worker pool {pool.name}", lambda id_=str(pool.id): pools.shutdown_worker_pool_by_id(id_)
        search = ComputeRequirementSummarySearch(namespaces=[self._namespace], name=self._name)
        for summary in compute.get_compute_requirement_summaries(search).list_all():
            if self._is_ours(summary.name) and summary.status is not ComputeRequirementStatus.TERMINATED:
                end = compute.terminate_compute_requirement_by_id
                yield f"compute requirement {summary.name}", lambda id_=str(summary.id), end=end: end(id_)

    def _works(self) -> dict[str, str]:
        """Names and ids of the unfinished work requirements."""
        search = WorkRequirementSearch(namespaces=[self._namespace], name=self._name)
        found = self._client.work_client.get_work_requirements(search).list_all()
        ours = [one for one in found if self._is_ours(one.name) and one.status and not one.status.finished]
        return {str(one.name): str(one.id) for one in ours}
