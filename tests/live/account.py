"""The account of a live run, from the environment, and what one cluster has on it. Calls the SDK, not RayDog."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    ComputeRequirementStatus,
    ComputeRequirementSummarySearch,
    RetryProperties,
    ServicesSchema,
    Task,
    TaskSearch,
    TaskStatus,
    WorkerPoolSearch,
    WorkerPoolStatus,
    WorkRequirementSearch,
)

from yellowdog_ray.config.local_files import absolute, read_text
from yellowdog_ray.config.ssh_key import check_key
from yellowdog_ray.credentials import DEFAULT_URL, Credentials, check_values
from yellowdog_ray.errors import RayDogError

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

_ACCESS = ("YD_API_KEY_ID", "YD_API_KEY_SECRET", "RAYDOG_LIVE_NAMESPACE")
"""The variables that the removal of a cluster needs."""

OPTIONS = {
    "YD_API_URL": f"address of the API ({DEFAULT_URL})",
    "RAYDOG_LIVE_SSH_USER": "user of SSH (yd-agent)",
    "RAYDOG_LIVE_USERDATA": "file of user data, for a template whose image has no Ray (none)",
    "RAYDOG_LIVE_MACHINE_MINUTES": "machine-minutes of one lifecycle run, 1 to 1440; the run ends at this limit (60)",
}
"""The variables that a live run may have, with their defaults."""

_CONNECT_TIMEOUT, _READ_TIMEOUT = timedelta(seconds=5), timedelta(seconds=20)
"""Timeouts of a call without retries."""

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
        """The access that an environment describes. Reads no file.

        Raises:
            NoAccountError: a variable is missing.
            AccountError: no HTTP call can be made with the key or the URL.
        """
        if missing := [name for name in _ACCESS if not environment.get(name)]:
            raise NoAccountError(f"set {', '.join(missing)}")
        url = (environment.get("YD_API_URL") or DEFAULT_URL).rstrip("/")
        key_id, secret, namespace = (environment[name] for name in _ACCESS)
        try:
            check_values(Credentials(url, key_id, secret), "the environment")
        except RayDogError as error:
            raise AccountError(str(error)) from error
        return cls(url, key_id, secret, namespace)


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
        try:
            ssh_key, userdata = _ssh_key(environment["RAYDOG_LIVE_SSH_KEY"]), _userdata(environment)
        except RayDogError as error:
            raise AccountError(str(error)) from error
        return cls(
            access.url,
            access.key_id,
            access.secret,
            access.namespace,
            environment["RAYDOG_LIVE_TEMPLATE"],
            ssh_key,
            environment.get("RAYDOG_LIVE_SSH_USER") or "yd-agent",
            userdata,
            _machine_minutes(environment.get("RAYDOG_LIVE_MACHINE_MINUTES") or "60"),
        )


def _ssh_key(name: str) -> Path:
    """The absolute path of a key that OpenSSH can use. The cluster's YAML needs no updaters: the head has no key."""
    folders = [Path.cwd()]
    check_key(name, "RAYDOG_LIVE_SSH_KEY", folders)
    return Path(absolute(name, folders))


def _userdata(environment: Mapping[str, str]) -> str | None:
    name = environment.get("RAYDOG_LIVE_USERDATA")
    if not name:
        return None
    return read_text(name, "environment", "RAYDOG_LIVE_USERDATA", [Path.cwd()], "correct the path, or unset it")


def _machine_minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0
    if not 1 <= minutes <= MAX_MACHINE_MINUTES:  # also refuses NaN
        raise AccountError(f"RAYDOG_LIVE_MACHINE_MINUTES must be 1 to {MAX_MACHINE_MINUTES}, and is {text!r}")
    return minutes


@dataclass(frozen=True)
class Unfinished:
    """Something on the platform that has not ended.

    Attributes:
        name: its kind and name.
        end: the call that ends it.
    """

    name: str
    end: Callable[[], object]


@contextmanager
def _failure_in(errors: dict[str, str], subject: str) -> Iterator[None]:
    """Keep the error of a failed call, whatever it is: the rest must end."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a later attempt may succeed
        errors[subject] = f"{type(error).__name__}: {error}"


class ClusterView:
    """One cluster as the platform shows it. Its name is unlike every other name of the account.

    Args:
        account: the account.
        name: the cluster's name.
        retries: whether the SDK retries a failed call, for minutes; otherwise a call is answered or fails at once.
    """

    def __init__(self, account: Access, name: str, *, retries: bool = True) -> None:
        self._namespace = account.namespace
        self._name = name
        schema = ServicesSchema(defaultUrl=account.url)
        if not retries:
            schema.retry = RetryProperties(maxAttempts=0)
            schema.connectionTimeout, schema.readTimeout = _CONNECT_TIMEOUT, _READ_TIMEOUT
        self._client = PlatformClient.create(schema, ApiKey(account.key_id, account.secret))

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
        return [one.name for read in self._kinds().values() for one in read()]

    def remove(self) -> tuple[list[str], dict[str, str]]:
        """Request the end of everything once.

        A failed call hides nothing else: each kind is listed, and each thing ended, by itself.

        Returns:
            What had not ended, and the errors of the calls that failed, by what they concern.
        """
        left: list[str] = []
        errors: dict[str, str] = {}
        for kind, read in self._kinds().items():
            with _failure_in(errors, kind):
                for one in read():
                    left.append(one.name)
                    with _failure_in(errors, one.name):
                        one.end()
        return left, errors

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _is_ours(self, name: str | None) -> bool:
        return name == self._name or str(name).startswith(f"{self._name}-")

    def _kinds(self) -> dict[str, Callable[[], list[Unfinished]]]:
        """The kinds of things that a cluster has, and the call that lists what has not ended."""
        return {
            "work requirements": self._unfinished_work,
            "worker pools": self._unfinished_pools,
            "compute requirements": self._unfinished_compute,
        }

    def _unfinished_work(self) -> list[Unfinished]:
        end = self._client.work_client.cancel_work_requirement_by_id
        return [
            Unfinished(f"work requirement {name}", partial(end, work_id, abort=True))
            for name, work_id in self._works().items()
        ]

    def _unfinished_pools(self) -> list[Unfinished]:
        pools = self._client.worker_pool_client
        search = WorkerPoolSearch(namespaces=[self._namespace], name=self._name)
        return [
            Unfinished(f"worker pool {pool.name}", partial(pools.shutdown_worker_pool_by_id, str(pool.id)))
            for pool in pools.get_worker_pools(search).list_all()
            if self._is_ours(pool.name) and pool.status not in _ENDED_POOL
        ]

    def _unfinished_compute(self) -> list[Unfinished]:
        compute = self._client.compute_client
        search = ComputeRequirementSummarySearch(namespaces=[self._namespace], name=self._name)
        end = compute.terminate_compute_requirement_by_id
        return [
            Unfinished(f"compute requirement {summary.name}", partial(end, str(summary.id)))
            for summary in compute.get_compute_requirement_summaries(search).list_all()
            if self._is_ours(summary.name) and summary.status is not ComputeRequirementStatus.TERMINATED
        ]

    def _works(self) -> dict[str, str]:
        """Names and ids of the unfinished work requirements."""
        search = WorkRequirementSearch(namespaces=[self._namespace], name=self._name)
        found = self._client.work_client.get_work_requirements(search).list_all()
        ours = [one for one in found if self._is_ours(one.name) and one.status and not one.status.finished]
        return {str(one.name): str(one.id) for one in ours}
