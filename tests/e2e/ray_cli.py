"""The real `ray` command as a user runs it, and the platform as its API shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    ApiKey,
    ComputeRequirementTemplateUsage,
    Instance,
    InstanceSearch,
    InstanceStatus,
    RetryProperties,
    ServicesSchema,
    Task,
    TaskSearch,
    TaskStatus,
    WorkerPoolSearch,
    WorkerPoolStatus,
    WorkRequirementSearch,
)

from tests.programs import run_program

BIN = Path(sys.executable).parent
COMMAND_SECONDS = 150
LIVE = [InstanceStatus.PENDING, InstanceStatus.RUNNING, InstanceStatus.STOPPING, InstanceStatus.TERMINATING]


@dataclass
class Ray:
    """Runs `ray` against one YAML, in a folder of its own."""

    yaml: Path
    env: dict[str, str]
    bin: Path = BIN

    @property
    def folder(self) -> Path:
        return self.yaml.parent

    def __call__(self, command: str, *arguments: str, check: bool = True, timeout: float = COMMAND_SECONDS) -> str:
        """Run `ray COMMAND yaml ARGUMENTS`; gives back everything that it printed."""
        began = time.monotonic()
        whole = [str(self.bin / "ray"), command, str(self.yaml), *arguments]
        done = run_program(whole, seconds=timeout, cwd=self.folder, env=self.env)
        print(f"ray {command}: {time.monotonic() - began:.1f} s")  # noqa: T201 - shown by pytest when a test fails
        if check and done.returncode != 0:
            raise AssertionError(f"`ray {command}` ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    @contextmanager
    def running(self, command: str, *arguments: str) -> Iterator[Path]:
        """A `ray` command that does not end by itself; gives the file with what it prints."""
        log = self.folder / f"{command}.log"
        with (
            log.open("w") as out,
            subprocess.Popen(
                [str(self.bin / "ray"), command, str(self.yaml), *arguments],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield log
            finally:
                os.killpg(process.pid, 15)
                print(f"ray {command}:\n{log.read_text()}")  # noqa: T201 - shown by pytest when a test fails


class RentedHost:
    """A host outside any cluster, for as long as it is not closed."""

    def __init__(self, client: PlatformClient, name: str) -> None:
        self._client = client
        usage = ComputeRequirementTemplateUsage("demo/local", "demo", name, targetInstanceCount=1)
        self._requirement = client.compute_client.provision_compute_requirement_template(usage)
        wait_until(lambda: bool(self._addresses(InstanceStatus.RUNNING)), f"host {name} runs")
        (self.address,) = self._addresses(InstanceStatus.RUNNING)

    def _addresses(self, *statuses: InstanceStatus) -> list[str]:
        search = InstanceSearch(computeRequirementId=self._requirement.id, statuses=list(statuses))
        found = self._client.compute_client.get_instances(search).list_all()
        return [str(instance.privateIpAddress) for instance in found]

    def close(self) -> None:
        """End it, and wait until it has gone."""
        self._client.compute_client.terminate_compute_requirement_by_id(str(self._requirement.id))
        wait_until(lambda: not self._addresses(*LIVE), "the host has gone")


class PlatformView:
    """What the platform says, through the official SDK and not through RayDog."""

    def __init__(self, url: str, key_id: str, key_secret: str) -> None:
        self.url, self.key_id, self.key_secret = url, key_id, key_secret
        at_once = ServicesSchema(defaultUrl=url, retry=RetryProperties(maxAttempts=0))
        self._client = PlatformClient.create(at_once, ApiKey(key_id, key_secret))

    def provision_host(self, name: str) -> RentedHost:
        return RentedHost(self._client, name)

    def all_tasks(self) -> list[Task]:
        return self._client.work_client.get_tasks(TaskSearch()).list_all()

    def live_nodes(self, kind: str) -> list[Task]:
        live = [status for status in TaskStatus if not status.finished]
        tasks = self._client.work_client.get_tasks(TaskSearch(statuses=live)).list_all()
        return [task for task in tasks if (task.name or "").startswith("head-") == (kind == "head")]

    def ended(self, task: Task) -> bool:
        status = self._client.work_client.get_task_by_id(str(task.id)).status
        return status is not None and status.finished

    def abort(self, task: Task) -> None:
        self._client.work_client.cancel_task(task, abort=True)

    def live_instances(self) -> int:
        return len(self._instances(LIVE))

    def addresses(self) -> list[str]:
        """The private addresses of all running instances."""
        return [str(instance.privateIpAddress) for instance in self._instances([InstanceStatus.RUNNING])]

    def _instances(self, statuses: list[InstanceStatus]) -> list[Instance]:
        return self._client.compute_client.get_instances(InstanceSearch(statuses=statuses)).list_all()

    def live_pools(self) -> list[str]:
        ended = (WorkerPoolStatus.SHUTDOWN, WorkerPoolStatus.TERMINATED)
        pools = self._client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all()
        return [str(pool.name) for pool in pools if pool.status not in ended]

    def unfinished_work(self) -> list[str]:
        found = self._client.work_client.get_work_requirements(WorkRequirementSearch()).list_all()
        return [str(summary.name) for summary in found if summary.status and not summary.status.finished]


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
    """Poll until a condition holds; fails with what was awaited."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.2)
