"""Runs a node provider as Ray does, in a separate process controlled by JSON, and times each call.

It runs under the Python of the measured package, uses only Ray's NodeProvider interface and Ray's classes, and imports
nothing of RayDog. Standard input has one request per line, standard output one answer per line: `{"do": name,
...arguments}` returns `{"ok": ...}` or `{"failed": "reason"}`.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_V1_LOOKUPS = 12
"""Address lookups of autoscaler v1 per node and tick (measured on Ray 2.60)."""


class Driver:
    """One provider, and Ray's calls to it.

    Attributes:
        provider: the provider, once it is constructed.
        ids: node ids of the last listing.
        executing: the executing tasks, as reported to Ray.
        ray: their raylets.
    """

    def __init__(self) -> None:
        self.provider: Any = None
        self.ids: list[str] = []
        self.executing: list[Any] = []
        self.ray: Any = None

    # Beginning

    def prepare(self, environment: dict[str, str], core: int) -> None:
        """Set environment and core, before any import of Ray."""
        os.environ.update(environment)
        os.sched_setaffinity(0, {core})
        if environment.get("BENCH_SKIPPING_CLOCKS"):
            _install_skipping_clocks()

    def imports(self) -> dict[str, Any]:
        """Import Ray's interface, then the provider's module; return the duration of each (seconds)."""
        began = time.perf_counter()
        importlib.import_module("ray.autoscaler._private.commands")
        of_ray = time.perf_counter() - began
        began = time.perf_counter()
        importlib.import_module("yellowdog_ray.raydog.autoscaler")
        return {"ray": of_ray, "provider": time.perf_counter() - began}

    def bootstrap(self, config: dict[str, Any]) -> dict[str, Any]:
        """Run `bootstrap_config`, as on a user's machine."""
        return dict(_provider_class().bootstrap_config(config))

    def construct(self, provider: dict[str, Any], cluster: str) -> dict[str, Any]:
        """Construct the provider."""
        return self._timed(lambda: setattr(self, "provider", _provider_class()(provider, cluster)))

    def create_head(self, node_config: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
        """Launch the head, as `ray up` does."""
        return self._timed(lambda: self.provider.create_node(node_config, tags, 1))

    # What Ray's autoscaler does

    def join(self, tasks: list[dict[str, Any]]) -> None:
        """Register the raylets of these tasks, and no others, with Ray's control store."""
        if self.ray is None:
            self._start_control_store()
        self.executing[:] = [_task(**fields) for fields in tasks]
        self.ray.observe()
        self.ray.raylets = {raylet.node_id: raylet for raylet in self.ray.alive}  # Ray drops dead raylets too

    def _start_control_store(self) -> None:
        import ray._raylet
        from tests.simulation.raylets import FakeGcs, RayCluster

        self.ray = RayCluster(lambda: self.executing, lambda: datetime.fromtimestamp(time.time(), timezone.utc))
        self.gcs = FakeGcs(self.ray)
        ray._raylet.GcsClient = lambda address: self.gcs

    def use_autoscaler(self, version: str, config_file: str) -> None:
        """Start one of Ray's autoscalers, which constructs its own provider; time every call of that."""
        kind = getattr(importlib.import_module(f"tests.simulation.{version}"), version.upper())
        if self.ray is None:
            self._start_control_store()
        self.autoscaler = kind(Path(config_file), self.gcs)
        self.provider = self.autoscaler.provider
        self.meter = Meter(self.provider)

    def autoscaler_tick(self, want: int) -> dict[str, Any]:
        """Run one tick of Ray's autoscaler with a demand for that many CPUs.

        Autoscaler v1 reads only the first 1,000 pending tasks, so its demand comes through `request_resources`.
        """
        from tests.simulation.raylets import Demand

        if self.autoscaler.version == "v1":
            self.autoscaler.request([{"CPU": 1}] * want)
        else:
            self.ray.demands = [Demand({"CPU": 1}, want)]
        self.ray.observe()
        return self._timed(self.autoscaler.tick)

    def grow(self, node_type: str, node_config: dict[str, Any], count: int) -> dict[str, Any]:
        """Launch workers."""
        tags = {
            "ray-node-type": "worker",
            "ray-user-node-type": node_type,
            "ray-node-status": "uninitialized",
            "ray-launch-config": "",
        }
        call = self.provider.create_node_with_resources_and_labels
        return self._timed(lambda: call(node_config, tags, count, {"CPU": 1}, {}))

    def list(self) -> dict[str, Any]:
        """One listing."""
        return self._timed(self._list) | {"nodes": len(self.ids)}

    def tick(self) -> dict[str, Any]:
        """The calls of autoscaler v2 in one tick: listing, tags and state of each node."""
        return self._timed(self._tick) | {"nodes": len(self.ids)}

    def provider_seconds(self) -> float:
        """Total time in calls of the provider so far (seconds)."""
        return self.meter.read()

    def addresses(self) -> dict[str, Any]:
        """The address lookups of autoscaler v1 in one tick."""
        known = 0

        def call() -> None:
            nonlocal known
            for node_id in self.ids:
                for _ in range(_V1_LOOKUPS):
                    address = self.provider.internal_ip(node_id)
                self.provider.external_ip(node_id)
                known += address is not None

        return self._timed(call) | {"nodes": known}

    def terminate(self) -> dict[str, Any]:
        """Terminate every listed worker."""
        self._list()
        tags = {node_id: self.provider.node_tags(node_id) for node_id in self.ids}
        workers = [node_id for node_id, of in tags.items() if of.get("ray-node-type") == "worker"]
        began = time.time()
        figures = self._timed(lambda: self.provider.terminate_nodes(workers))
        return figures | {"nodes": len(workers), "began": began}

    def memory(self) -> float:
        """Memory of this process (MiB)."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def skip_time(self, seconds: float) -> None:
        """Advance the clocks that this process reads."""
        _skipped_seconds[0] += seconds

    # How

    def _list(self) -> None:
        self.ids = list(self.provider.non_terminated_nodes({}))

    def _tick(self) -> None:
        self._list()
        for node_id in self.ids:
            self.provider.node_tags(node_id)
            self.provider.is_running(node_id)

    def _timed(self, call: Any) -> dict[str, Any]:
        began, cpu = time.perf_counter(), time.process_time()
        call()
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


class Meter:
    """Measures the real time in a provider's methods; nested calls count once."""

    METHODS = (
        "create_node",
        "create_node_with_resources_and_labels",
        "external_ip",
        "internal_ip",
        "is_running",
        "is_terminated",
        "node_tags",
        "non_terminated_nodes",
        "set_node_tags",
        "terminate_node",
        "terminate_nodes",
    )

    def __init__(self, provider: Any) -> None:
        self._seconds = 0.0
        self._under_way = 0
        self._changed = threading.Condition()
        self._inside = threading.local()
        for name in self.METHODS:
            setattr(provider, name, self._timed(getattr(provider, name)))

    def _timed(self, method: Any) -> Any:
        @functools.wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            if getattr(self._inside, "busy", False):
                return method(*arguments, **options)
            self._inside.busy = True
            with self._changed:
                self._under_way += 1
            began = time.perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                self._inside.busy = False
                with self._changed:
                    self._seconds += time.perf_counter() - began
                    self._under_way -= 1
                    self._changed.notify_all()

        return call

    def read(self) -> float:
        """Total so far (seconds); waits for pending calls of other threads."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0)
            return self._seconds


_skipped_seconds = [0.0]


def _task(name: str, environment: dict[str, str], ip: str) -> SimpleNamespace:
    """An executing task of the platform, with the fields that `RayCluster` reads."""
    details = SimpleNamespace(privateIpAddress=ip)
    return SimpleNamespace(
        entity=SimpleNamespace(name=name, environment=environment, startedTime=1),
        status=SimpleNamespace(finished=False),
        worker=SimpleNamespace(node=SimpleNamespace(entity=SimpleNamespace(details=details))),
    )


def _provider_class() -> Any:
    return importlib.import_module("yellowdog_ray.raydog.autoscaler").RayDogNodeProvider


def _install_skipping_clocks() -> None:
    monotonic, now = time.monotonic, time.time
    time.monotonic = lambda: monotonic() + _skipped_seconds[0]
    time.time = lambda: now() + _skipped_seconds[0]


def _answer(driver: Any, request: dict[str, Any]) -> dict[str, Any]:
    method = getattr(driver, request.pop("do"))
    try:
        return {"ok": method(**request)}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any error of a package is its answer
        return {"failed": f"{type(error).__name__}: {error}".strip()}


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keep output of libraries out of the answers
    driver: Any = Driver()
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(_answer(driver, request)) + "\n")
        answers.flush()
    os._exit(0)  # a package may leave threads running


if __name__ == "__main__":
    main()
