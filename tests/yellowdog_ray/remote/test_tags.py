"""The tag store against a real Valkey or Redis."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from yellowdog_ray.errors import SshError
from yellowdog_ray.remote.ssh import Tunnel
from yellowdog_ray.remote.tags import TagStore, TunnelledPort

SERVER = shutil.which("valkey-server") or shutil.which("redis-server")


@contextmanager
def server(port: int, folder: Path) -> Iterator[None]:
    """A real Valkey or Redis that accepts connections."""
    if SERVER is None:
        pytest.skip("neither valkey-server nor redis-server is installed: scripts/test installs one")
    with subprocess.Popen(
        [SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield
        process.terminate()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port(free_port, tmp_path) -> Iterator[int]:
    """The port of a running server."""
    with server(free_port, tmp_path):
        yield free_port


def test_set_tags_are_read_by_another_process(port):
    TagStore("demo", lambda: port).set("head-1", {"ray-node-status": "up-to-date"})
    other = TagStore("demo", lambda: port)

    assert other.refresh()
    assert other.get("head-1") == {"ray-node-status": "up-to-date"}


def test_set_merges_tags(port):
    store = TagStore("demo", lambda: port)
    store.set("head-1", {"ray-node-status": "setting-up", "ray-runtime-config": "abc"})
    store.set("head-1", {"ray-node-status": "up-to-date"})
    other = TagStore("demo", lambda: port)
    other.refresh()

    assert other.get("head-1") == {"ray-node-status": "up-to-date", "ray-runtime-config": "abc"}


def test_clusters_with_a_common_prefix_share_no_tags(port):
    TagStore("ray", lambda: port).set("head-1", {"a": "b"})
    other = TagStore("ray-production", lambda: port)
    other.refresh()

    assert other.get("head-1") == {}


def test_tags_set_without_store_are_written_with_the_next_set(port):
    ports = [1, port]
    store = TagStore("demo", lambda: ports[0])

    assert not store.set("head-1", {"ray-runtime-config": "abc"})
    ports.pop(0)
    assert store.set("head-1", {"ray-node-status": "up-to-date"})

    other = TagStore("demo", lambda: port)
    other.refresh()
    assert other.get("head-1") == {"ray-node-status": "up-to-date", "ray-runtime-config": "abc"}


def test_refresh_restores_a_store_that_restarted_empty(port):
    on_head = TagStore("demo", lambda: port, restores=True)
    TagStore("demo", lambda: port).set("head-1", {"ray-node-status": "up-to-date"})
    on_head.refresh()
    with redis.Redis(port=port) as client:
        client.flushall()

    on_head.refresh()

    other = TagStore("demo", lambda: port)
    other.refresh()
    assert on_head.get("head-1") == other.get("head-1") == {"ray-node-status": "up-to-date"}


def test_refresh_reconnects_to_a_restarted_server(free_port, tmp_path):
    on_head = TagStore("demo", lambda: free_port, restores=True)
    with server(free_port, tmp_path):
        on_head.set("head-1", {"ray-node-status": "up-to-date"})
        assert on_head.refresh()
    assert not on_head.refresh()

    with server(free_port, tmp_path):
        assert on_head.refresh()
        other = TagStore("demo", lambda: free_port)
        other.refresh()
        assert other.get("head-1") == {"ray-node-status": "up-to-date"}


def test_refresh_reads_all_tags_only_after_a_set(port):
    store = TagStore("demo", lambda: port)
    store.set("head-1", {"ray-node-status": "setting-up"})
    with redis.Redis(port=port) as client:

        def read() -> int:
            before = client.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0)
            assert store.refresh()
            return client.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0) - before

        counts = [read(), read(), read()]
        TagStore("demo", lambda: port).set("head-1", {"ray-node-status": "up-to-date"})
        counts += [read(), read()]

    assert counts == [1, 0, 0, 1, 0]


def test_keep_deletes_tags_of_ended_nodes_above_the_limit(port, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.remote.tags.SPARE_NODES", 3)
    store = TagStore("demo", lambda: port)
    for number in range(6):
        store.set(f"worker-{number}", {"ray-node-status": "up-to-date"})

    store.keep({"worker-4", "worker-5"})

    other = TagStore("demo", lambda: port)
    other.refresh()
    for known in (store, other):
        assert [bool(known.get(f"worker-{number}")) for number in range(6)] == [False] * 4 + [True] * 2


def test_tunnelled_port_does_not_retry_at_once():
    attempts: list[float] = []
    now = [100.0]

    def unreachable_head() -> Tunnel:
        attempts.append(now[0])
        raise SshError("no route")

    port = TunnelledPort(unreachable_head, lambda: now[0])
    for seconds in (0, 5, 30):
        now[0] = 100.0 + seconds
        with pytest.raises(SshError):
            port()

    assert attempts == [100.0, 130.0]


def test_store_raises_nothing_when_the_head_is_unreachable():
    def unreachable() -> int:
        raise SshError("no route")

    store = TagStore("demo", unreachable)

    assert not store.refresh()
    assert not store.set("head-1", {"a": "b"})
    assert store.get("head-1") == {"a": "b"}
