"""Limits the view of Python programs on a process host to their host. Copied to each host; standard library only.

`process_home.py` adds it to each host's Python environment, so that it is loaded whenever that Python starts. It
changes three answers that would lead beyond the host:

- the list of processes (psutil; `ray stop` kills what it finds): only those of this host;
- the machine's address (Ray derives it from the route to the Internet): this host's address;
- defaults of `ray start` (a worker takes the head's path, and every node the same ports): this host's own
  directory, and free ports. Options on the command line override them;
- fixed ports on the command line of `ray start`, for servers that every node has: free ports.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

Adapt = Callable[[ModuleType], None]
_LIMIT = b"Max realtime timeout"  # see marks.py

_FREE_PORTS = {
    "node_manager_port": 0,
    "object_manager_port": None,
    "runtime_env_agent_port": None,
    "dashboard_agent_grpc_port": None,
    "metrics_export_port": None,
}
"""Parameters of `ray start` that RayDog's default task scripts fix, and Ray's own defaults: any free port."""


class _View:
    """The host's properties, and the changes of modules that read them.

    Args:
        host: `{"mark": ..., "address": ..., "temporary": ...}`
    """

    def __init__(self, host: dict[str, Any]) -> None:
        self._mark = str(host["mark"]).encode()
        self._address = str(host["address"])
        self._temporary = str(host["temporary"])

    def adapters(self) -> dict[str, Adapt]:
        """The change of each module, by its name."""
        return {
            "psutil": self._show_own_processes,
            "ray._private.services": self._show_own_address,
            "ray.scripts.scripts": self._set_defaults_of_ray_start,
        }

    def _show_own_processes(self, psutil: ModuleType) -> None:
        all_pids: Callable[[], list[int]] = psutil.pids
        psutil.pids = lambda: [number for number in all_pids() if self._is_ours(number)]  # type: ignore[attr-defined]

    def _show_own_address(self, services: ModuleType) -> None:
        services.node_ip_address_from_perspective = lambda _address=None: self._address  # type: ignore[attr-defined]

    def _set_defaults_of_ray_start(self, scripts: ModuleType) -> None:
        wanted = {
            "temp_dir": f"{self._temporary}/ray",
            "min_worker_port": 0,  # 0: any free port
            "max_worker_port": 0,
            "dashboard_agent_listen_port": 0,
        }
        for parameter in scripts.start.params:
            if parameter.name in wanted:
                parameter.default = wanted[parameter.name]
        start: Callable[..., Any] = scripts.start.callback
        scripts.start.callback = lambda **given: start(**{**given, **_FREE_PORTS})

    def _is_ours(self, number: int) -> bool:
        try:
            lines = Path("/proc", str(number), "limits").read_bytes().splitlines()
        except OSError:  # it has ended meanwhile
            return False
        return any(line.startswith(_LIMIT) and self._mark in line.split() for line in lines)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Finds no modules itself; adapts modules of certain names after they are loaded."""

    def __init__(self, adapters: dict[str, Adapt]) -> None:
        self._adapters = adapters

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec that the other finders find, with a loader that adapts the module."""
        adapt = self._adapters.pop(fullname, None)
        if adapt is None:
            return None
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            self._adapters[fullname] = adapt  # psutil is found only after Ray has added its directory to the path
            return None
        spec.loader = _AdaptingLoader(spec.loader, adapt)
        return spec


class _AdaptingLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, adapt: Adapt) -> None:
        self._loader = loader
        self._adapt = adapt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Create the module with its own loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its own loader, then adapt it."""
        self._loader.exec_module(module)
        self._adapt(module)


def install() -> None:
    """Install the view, if this process is one of this file's host."""
    host = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    if resource.getrlimit(resource.RLIMIT_RTTIME)[1] == host["mark"]:
        sys.meta_path.insert(0, _AfterImport(_View(host).adapters()))
