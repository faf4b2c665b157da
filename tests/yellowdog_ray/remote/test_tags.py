"""The tag store against a real Valkey or Redis."""

import itertools
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.yellowdog_ray.foreign_server import dripping, foreign_server
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
    TagStore("ray", lambda: port).set("head-1", {"ray-node-status": "setting-up"})
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
    assert not store.set("head-1", {"ray-node-status": "setting-up"})
    assert store.get("head-1") == {"ray-node-status": "setting-up"}


class TestForeignValues:
    """Any process on the head can write to the store."""

    KEY = "raydog:demo:tags"

    @pytest.mark.parametrize(
        "value",
        [
            b"no JSON",
            b"\xff\xfe",
            b'["up-to-date"]',
            b"null",
            b"1e999",
            b'{"ray-node-status": 5}',
            b'{"ray-node-status": ["up-to-date"]}',
            b'{"ray-runtime-config": "%s"}' % (b"a" * 201),
            b'{"ray-node-status": "up-to-date", "x": "%s"}' % (b"x" * 5_000),
            b"[" * 4_000,
        ],
    )
    def test_refresh_ignores_value_that_is_not_ours(self, port, caplog, value):
        store = TagStore("demo", lambda: port)
        TagStore("demo", lambda: port).set("worker-1", {"ray-runtime-config": "abc"})
        store.refresh()
        with redis.Redis(port=port) as client:
            client.hset(self.KEY, mapping={"worker-1": value, ":version": "another", "worker-2": value})

        assert [store.refresh() for _ in range(3)] == [True] * 3
        assert store.get("worker-1") == {"ray-runtime-config": "abc"}
        assert store.get("worker-2") == {}
        assert len(caplog.records) == 1
        assert "ignored what another program wrote into the tag store" in caplog.text

    @pytest.mark.parametrize("field", [b"\xff", b"", b"../../etc", b"Worker-1", b"w" * 61])
    def test_refresh_ignores_field_that_is_no_node_id(self, port, field):
        with redis.Redis(port=port) as client:
            client.hset(self.KEY, field, b'{"ray-node-status": "up-to-date"}')
        store = TagStore("demo", lambda: port)

        assert store.refresh()
        assert store.get(field.decode(errors="replace")) == {}

    def test_refresh_takes_no_identity_tags_from_the_store(self, port):
        value = (
            b'{"ray-node-type": "head", "ray-user-node-type": "gpu", "ray-node-name": "x", "ray-launch-request": "1",'
            b' "ray-node-status": "up-to-date"}'
        )
        with redis.Redis(port=port) as client:
            client.hset(self.KEY, "worker-1", value)
        store = TagStore("demo", lambda: port)
        store.refresh()

        assert store.get("worker-1") == {"ray-node-status": "up-to-date"}

    def test_refresh_ignores_key_of_another_kind(self, port):
        with redis.Redis(port=port) as client:
            client.set(self.KEY, "text")
        store = TagStore("demo", lambda: port)

        assert not store.refresh()
        assert not store.set("worker-1", {"ray-node-status": "up-to-date"})
        assert store.get("worker-1") == {"ray-node-status": "up-to-date"}
        assert "WRONGTYPE" in store.refusal

    def test_refusal_is_kept_when_the_server_requires_a_password(self, port):
        with redis.Redis(port=port) as client:
            client.config_set("requirepass", "secret")
        store = TagStore("demo", lambda: port)

        assert not store.set("worker-1", {"ray-node-status": "up-to-date"})
        assert store.refusal == "a password is required"

    def test_refusal_is_none_when_the_server_does_not_answer(self, free_port):
        store = TagStore("demo", lambda: free_port)
        assert store.refusal is None

        assert not store.set("worker-1", {"ray-node-status": "up-to-date"})
        assert store.refusal is None

    def test_refresh_reads_a_bounded_number_of_bytes(self, port, monkeypatch, caplog):
        monkeypatch.setattr("yellowdog_ray.remote.tags.MAX_BYTES", 100_000)
        with redis.Redis(port=port) as client:
            client.hset(self.KEY, "worker-1", b"x" * 1_000_000)
        store = TagStore("demo", lambda: port)

        assert [store.refresh() for _ in range(3)] == [False] * 3
        assert len(caplog.records) == 1
        assert "exceeds 100000 bytes; delete this key" in caplog.text


class TestForeignServer:
    """Another program answers at the store's port."""

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"$abc\r\n",
            b"*1000000000\r\n",
            b":1\r\n",
            b"*1\r\n" * 5_000,
            b"*2\r\n:1\r\n:2\r\n" * 10,
            b"",
        ],
    )
    def test_refresh_raises_nothing_on_foreign_answer(self, answer):
        with foreign_server(lambda: [answer]) as port:
            store = TagStore("demo", lambda: port, timeout=0.3)

            assert not store.refresh()
            assert not store.set("worker-1", {"ray-node-status": "up-to-date"})

    def test_refresh_ends_at_its_deadline_when_the_answer_drips(self):
        with foreign_server(lambda: itertools.chain([b"$99999\r\n"], dripping())) as port:
            store = TagStore("demo", lambda: port, timeout=0.3)
            began = time.monotonic()

            assert not store.refresh()
            assert time.monotonic() - began < 1.5
