"""The life of a cluster on an account: up, submit, grow, lose a node, shrink, down."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from requests import RequestException
from yellowdog_client.model import TaskStatus
from yellowdog_client.model.exceptions import BaseCustomException

from tests.e2e.ray_cli import Ray, wait_until
from tests.live.account import Account, ClusterView
from tests.live.guardian import MARKER, REMOVAL_SECONDS, Guardian, GuardianFailed, removal_command

MACHINES = 4
"""The most machines at once: a head, two workers, and a worker that replaces a lost one."""

WORKERS = 2
_ENDING = f"    the guardian removes what is left, which takes {REMOVAL_SECONDS / 60:.0f} min at most"
JOB = Path(__file__).parents[2] / "examples/local/two_workers.py"


class LifeFailed(Exception):
    """A step of the life did not succeed."""


def live(account: Account, autoscaler: str, cluster: str) -> None:
    """Run the life of one cluster; nothing is left of it afterwards, whatever happens.

    Raises:
        LifeFailed: a step failed, or something was left.
    """
    seconds = account.machine_minutes * 60 / MACHINES
    _check_platform(account, cluster)
    with tempfile.TemporaryDirectory(prefix="raydog-live-") as folder, closing(ClusterView(account, cluster)) as view:
        log = Path(tempfile.gettempdir()) / f"{cluster}.log"  # outlives a run that is killed
        print(
            f"==> {cluster}, autoscaler {autoscaler}: at most {seconds / 60:.0f} min; guardian's log: {log}", flush=True
        )
        ray = _ray(account, autoscaler, cluster, Path(folder), seconds)
        guardian = Guardian(cluster, seconds, log)
        try:
            with guardian:
                _Life(ray, view, seconds).run()
        except KeyboardInterrupt as error:
            raise LifeFailed("interrupted") from error
        except GuardianFailed as error:
            raise LifeFailed(str(error)) from error
        finally:
            _report(guardian, cluster)
        if guardian.report:
            raise LifeFailed("something was left after `ray down`")


def _check_platform(account: Account, cluster: str) -> None:
    """Read the account once, before anything is made: with a wrong address or key nothing has to be removed."""
    with closing(ClusterView(account, cluster, retries=False)) as view:
        try:
            view.left()
        except Exception as error:
            raise LifeFailed(f"{account.url} cannot be read, and nothing was started: {error}") from error


def _report(guardian: Guardian, cluster: str) -> None:
    """Print the guardian's report however the life has ended; its log stays unless nothing is left."""
    if guardian.is_over:
        guardian.log.unlink()
    text = f"guardian: {guardian.report}\n" if guardian.report else ""
    if not guardian.is_over:
        text += f"Something may be left: read {guardian.log}, and run `{removal_command(cluster)}`\n"
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        print(text, end="", file=sys.stderr, flush=True)
        raise


class _Life:
    def __init__(self, ray: Ray, view: ClusterView, seconds: float) -> None:
        self._ray = ray
        self._view = view
        self._deadline = time.monotonic() + seconds

    def run(self) -> None:
        with _step("ray up"):
            self._do("up", "-y")
        with _step("ray submit: a job on two workers"):
            output = self._do("submit", str(JOB))
            assert f"met on {WORKERS} workers" in output, output
        with _step("the requested autoscaler runs"):
            log = self._do("exec", "cat /tmp/ray/session_latest/logs/monitor.log")
            is_v1 = self._ray.env.get("RAY_UP_enable_autoscaler_v2") == "0"
            assert ("StandardAutoscaler" in log) == is_v1, log[-2000:]
        with _step("grow to two workers"):
            self._request(WORKERS)
            self._wait(lambda: self._running() == WORKERS, "two workers run")
        with _step("a killed worker is replaced"):
            before = self._names()
            self._do("kill-random-node", "-y", "--hard")
            self._wait(lambda: not before <= self._names(), "the killed worker ends")
            self._wait(lambda: self._running() == WORKERS, "another worker runs")
        with _step("shrink to the head"):
            self._request(0)
            self._wait(lambda: not self._view.workers() and self._view.machines() == 1, "only the head is left")
        with _step("ray down"):
            output = self._do("down", "-y")
            assert "nothing is left of cluster" in output, output
            assert self._view.left() == []

    def _do(self, command: str, *arguments: str) -> str:
        return self._ray(command, *arguments, timeout=max(1.0, self._deadline - time.monotonic()))

    def _request(self, cpus: int) -> None:
        code = f"import ray, ray.autoscaler.sdk as a; ray.init(address='auto'); a.request_resources(num_cpus={cpus})"
        self._do("exec", f'python -c "{code}"')

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(condition, what, max(1.0, self._deadline - time.monotonic()))

    def _running(self) -> int:
        return sum(task.abortRequestedTime is None for task in self._view.workers(TaskStatus.EXECUTING))

    def _names(self) -> set[str]:
        return {str(task.name) for task in self._view.workers() if task.abortRequestedTime is None}


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Print the outcome of a step at once: the removal that follows a failure may take minutes.

    Raises:
        LifeFailed: it failed.
    """
    began = time.monotonic()
    print(f"    {what} ...", flush=True)
    try:
        yield
    except (AssertionError, subprocess.TimeoutExpired, RequestException, BaseCustomException) as error:
        print(f"    {what}: FAILED ({time.monotonic() - began:.0f} s): {error}\n{_ENDING}", flush=True)
        raise LifeFailed(f"{what}: {str(error).partition(chr(10))[0]}") from error
    except (KeyboardInterrupt, SystemExit):
        print(f"    {what}: interrupted ({time.monotonic() - began:.0f} s)\n{_ENDING}", flush=True)
        raise
    print(f"    {what}: ok ({time.monotonic() - began:.0f} s)", flush=True)


def _ray(account: Account, autoscaler: str, cluster: str, folder: Path, seconds: float) -> Ray:
    """The `ray` command of a user who has nothing but this cluster's YAML and the account's key."""
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(cluster_yaml(account, cluster, seconds)))
    (folder / "cache").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("YD_", "RAY_"))}
    env |= {"YD_API_URL": account.url, "YD_API_KEY_ID": account.key_id, "YD_API_KEY_SECRET": account.secret}
    env |= {"HOME": str(folder), "TMPDIR": str(folder / "cache"), "RAY_USAGE_STATS_ENABLED": "0", "COLUMNS": "200"}
    env |= {MARKER: cluster, "RAY_UP_enable_autoscaler_v2": "0" if autoscaler == "v1" else "1"}
    return Ray(file, env)


def cluster_yaml(account: Account, cluster: str, seconds: float) -> dict[str, Any]:
    """The cluster's YAML. The platform ends every machine after the lifetime, without any help."""
    machine: dict[str, Any] = {"compute_requirement_template": account.template}
    if account.userdata is not None:
        machine["userdata"] = account.userdata
    lists = ("cluster_synced_files", "initialization_commands", "setup_commands", "head_setup_commands")
    more = ("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands")
    return {
        "cluster_name": cluster,
        "max_workers": WORKERS,
        "idle_timeout_minutes": 0.2,
        "provider": {
            "type": "external",
            "module": "yellowdog_ray.provider.RayDogNodeProvider",
            "cluster_namespace": account.namespace,
            "cluster_lifetime_hours": seconds / 3600,
            "head_node_build_timeout_minutes": max(1, int(seconds / 120)),
            "worker_node_build_timeout_minutes": max(1, int(seconds / 120)),
        },
        "auth": {"ssh_user": account.ssh_user, "ssh_private_key": str(account.ssh_key)},
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "node_config": machine},
            "worker": {"resources": {"CPU": 1}, "min_workers": 0, "max_workers": WORKERS, "node_config": machine},
        },
        "file_mounts": {},
        **{key: [] for key in (*lists, *more)},
    }
