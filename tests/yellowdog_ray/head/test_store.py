"""The store of Ray's control store, with a real Valkey or Redis and the control store of the installed Ray."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ray._private import services
from ray.autoscaler.tags import TAG_RAY_NODE_STATUS

from yellowdog_ray.head.store import Store
from yellowdog_ray.node import variables
from yellowdog_ray.remote.tags import SPARE_NODES, TagStore

redis = pytest.importorskip("redis")

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")

pytestmark = pytest.mark.skipif(SERVER is None, reason="neither valkey-server nor redis-server is installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Head:
    """A Valkey with a store, and control stores that use it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.port, self.gcs_port = free_port(), free_port()
        self.store = Store(folder / "store", self.port, "head-1")
        self.access: dict[str, Any] = json.loads(self.store.access.read_text())
        self._start(self.store.command(str(SERVER)).argv)
        until(lambda: answers(self.port))
        self.client = redis.Redis(port=self.port, username=self.access["user"], password=self.access["password"])

    def control_store(self, password: str) -> subprocess.Popen[bytes]:
        """A control store that gets its password by this option."""
        return self._start(
            [
                services.GCS_SERVER_EXECUTABLE,
                f"--log_dir={self._folder}",
                "--config_list=e30=",
                f"--gcs_server_port={self.gcs_port}",
                f"--metrics-agent-port={free_port()}",
                "--node-ip-address=127.0.0.1",
                "--session-name=session",
                "--redis_address=127.0.0.1",
                f"--redis_port={self.port}",
                "--redis_enable_ssl=false",
                f"--redis_username={self.access['user']}",
                password,
            ]
        )

    def _start(self, command: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env={**os.environ, variables.EXTERNAL_STORAGE_NAMESPACE: "head-1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def cluster_id(self) -> bytes | None:
        """The identity of Ray's cluster, which every node must present."""
        found: bytes | None = self.client.hget("RAYhead-1@KV", "@namespace_cluster:ray_cluster_id")
        return found


@pytest.fixture
def head(tmp_path) -> Iterator[Head]:
    with ExitStack() as stack:
        yield Head(tmp_path, stack)


def test_control_store_keeps_its_cluster_when_it_is_killed(head):
    process = head.control_store(f"--flagfile={head.access['flags']}")
    until(lambda: answers(head.gcs_port) and head.cluster_id())
    before = head.cluster_id()
    assert head.access["password"].encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()

    process.kill()
    process.wait(10)
    head.control_store(f"--flagfile={head.access['flags']}")
    until(lambda: answers(head.gcs_port))

    assert head.cluster_id() == before


def test_control_store_without_the_password_is_refused(head):
    assert head.control_store("--redis_password=wrong").wait(20) != 0
    assert head.cluster_id() is None


def test_earlier_files_are_deleted(tmp_path):
    store = Store(tmp_path / "store", 1, "head-1")
    (tmp_path / "store/data/file").touch()
    first = store.access.read_text()

    assert Store(tmp_path / "store", 1, "head-1").access.read_text() != first
    assert not (tmp_path / "store/data/file").exists()


def test_damaged_files_are_set_aside(tmp_path):
    store = Store(tmp_path / "store", 1, "head-1")
    (tmp_path / "store/data/file").touch()

    assert "cannot read its files" in store.set_aside()
    assert list((tmp_path / "store/data").iterdir()) == []
    assert (tmp_path / "store/damaged/file").exists()


def test_tag_store_works_without_a_password(head):
    tags = TagStore("demo", lambda: head.port)
    ended = [f"worker-{number}" for number in range(SPARE_NODES + 1)]
    for node in ended:
        tags.cache(node, {TAG_RAY_NODE_STATUS: "waiting"})

    assert tags.set("head-1", {TAG_RAY_NODE_STATUS: "up-to-date"})
    tags.keep({"head-1"})
    other = TagStore("demo", lambda: head.port)

    assert other.refresh()
    assert other.get("head-1") == {TAG_RAY_NODE_STATUS: "up-to-date"}
