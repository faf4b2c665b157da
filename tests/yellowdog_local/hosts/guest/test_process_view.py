"""The view of Python on a process host, by module; its effect on Ray is tested on hosts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from yellowdog_local.hosts.guest import process_view
from yellowdog_local.hosts.guest.process_view import _AfterImport, _View

HOST = {"mark": 12345, "address": "127.9.8.7", "temporary": "/var/of-this-host"}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    before = sys.path[:], sys.meta_path[:]
    yield tmp_path
    sys.path[:], sys.meta_path[:] = before
    sys.modules.pop("asked_for_later", None)


def test_ray_uses_the_hosts_address() -> None:
    services = SimpleNamespace(node_ip_address_from_perspective=lambda _address: "192.0.2.1")
    _View(HOST).adapters()["ray._private.services"](services)

    assert services.node_ip_address_from_perspective("8.8.8.8:53") == "127.9.8.7"


def test_adapted_module_is_the_one_that_ray_imports() -> None:
    from ray._private import services

    assert services.node_ip_address_from_perspective in vars(services).values()
    assert "node_ip_address_from_perspective" in services.get_node_ip_address.__code__.co_names


def test_ray_start_defaults_to_the_hosts_directory_and_free_ports() -> None:
    options = {name: SimpleNamespace(name=name, default="ray's") for name in ("temp_dir", "min_worker_port", "port")}
    start = SimpleNamespace(params=list(options.values()), callback=lambda **given: given)
    scripts = SimpleNamespace(start=start)
    _View(HOST).adapters()["ray.scripts.scripts"](scripts)

    defaults = {name: option.default for name, option in options.items()}
    assert defaults == {"temp_dir": "/var/of-this-host/ray", "min_worker_port": 0, "port": "ray's"}


def test_fixed_ports_of_one_node_become_free_ports() -> None:
    start = SimpleNamespace(params=[], callback=lambda **given: given)
    _View(HOST).adapters()["ray.scripts.scripts"](SimpleNamespace(start=start))

    used = start.callback(port=6379, node_manager_port=20020, metrics_export_port=20024)
    assert used["port"] == 6379
    assert (used["node_manager_port"], used["metrics_export_port"]) == (0, None)


def test_ray_start_has_every_option_that_is_changed() -> None:
    from ray.scripts.scripts import start

    names = {parameter.name for parameter in start.params}
    assert names >= {"temp_dir", "min_worker_port", "max_worker_port", "dashboard_agent_listen_port"}
    assert names >= process_view._FREE_PORTS.keys()


def test_processes_without_the_hosts_mark_are_hidden() -> None:
    psutil = SimpleNamespace(pids=lambda: [os.getpid(), 2**22 + 1])
    _View(HOST).adapters()["psutil"](psutil)

    assert psutil.pids() == []


def test_module_is_adapted_on_import_after_a_failed_import(path: Path) -> None:
    sys.meta_path.insert(0, _AfterImport({"asked_for_later": lambda module: setattr(module, "answer", 42)}))
    with pytest.raises(ModuleNotFoundError):
        import asked_for_later  # type: ignore[import-not-found]
    (path / "asked_for_later.py").write_text("answer = 0\n")
    sys.path.insert(0, str(path))

    import asked_for_later

    assert asked_for_later.answer == 42
    assert asked_for_later.__file__ == str(path / "asked_for_later.py")


def test_process_outside_the_host_reads_the_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = path / "view.py"
    own.with_suffix(".json").write_text('{"mark": 12345, "address": "", "temporary": ""}')
    monkeypatch.setattr(process_view, "__file__", str(own))
    before = sys.meta_path[:]
    process_view.install()

    assert sys.meta_path == before
