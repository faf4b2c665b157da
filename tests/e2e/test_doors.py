"""Nobody gets into a cluster without its token; with it, each of Ray's clients works. The scanner proves both."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import ray
import yaml

from tests.e2e.conftest import Box
from tests.e2e.doors import Logins, Socket, documented_ports
from tests.e2e.ray_cli import Ray
from yellowdog_ray.node.ray_versions import agents_require_tokens, has_tokens

NO_RAY = {22: "sshd", 16667: "the tag server", 16668: "RayDog's token service"}
"""Doors that are not Ray's: tests/yellowdog_ray tests the last two."""

CLIENTS = {"worker", "store", "job", "agent"} | ({"client"} if agents_require_tokens(ray.__version__) else set())
"""The clients that work with the token. Ray Client of 2.52 fails with the locked grpcio, also without tokens."""

HOLD = """
import ray, socket
ray.init(address="auto", namespace="scanned")
@ray.remote(num_cpus=1)
class Held:
    def host(self):
        return socket.gethostname()
held = [Held.options(lifetime="detached", name=f"held-{number}").remote() for number in range(2)]
print("held on", len({ray.get(one.host.remote()) for one in held}), "hosts")
"""
"""A job that leaves an actor on each of two workers: each has a door of its own."""


DEFAULT_OF_RAY_2_61 = """\
#!/bin/bash
echo 'export RAY_AUTH_MODE=token' >> /etc/profile
"""
"""User data: in all login shells of a host, Ray requires tokens, as it is announced for all processes from 2.61."""


@pytest.mark.skipif(not has_tokens(ray.__version__), reason="this version of Ray has no token authentication")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_cluster_admits_only_clients_with_its_token(life: Ray, box: Box, version: str) -> None:
    platform, logins = box.view(), Logins(box.ssh_key)
    if version == "v2":
        require_tokens_everywhere(life)
    life("up", "-y")
    hold_two_workers(life)
    nodes = platform.addresses()
    sockets = [socket for node in nodes for socket in logins.sockets(node)]
    (head,) = {socket.host for socket in sockets if socket.port == 6379}
    if version == "v2":  # the other YAML's task scripts select ports themselves
        check_documented(sockets, head)

    with closing(platform.provision_host("stranger")) as stranger:
        scan = Scan(logins, stranger.address, head, sockets)
        scan.without_token()
        assert logins.marks(nodes) == set(), "code ran on a node"

        found = scan.with_token(token_of(life), on_loopback={"v2": {"job", "client"}, "v1": {"job"}}[version])
        (joined,) = (each["detail"] for each in found if each["attempt"] == "worker")
        assert f"nodes that ever joined: {len(nodes) + 1}\n" in joined, "the stranger joined without the token"
        assert logins.marks(nodes) == CLIENTS - {"store"}
    assert "nothing is left of cluster" in life("down", "-y")


def require_tokens_everywhere(life: Ray) -> None:
    """The announced default of Ray 2.61, for the user's commands and in the shells of all nodes."""
    life.env["RAY_AUTH_MODE"] = "token"
    config = yaml.safe_load(life.yaml.read_text())
    for node_type in config["available_node_types"].values():
        node_type["node_config"]["userdata"] = DEFAULT_OF_RAY_2_61
    life.yaml.write_text(yaml.safe_dump(config))


def hold_two_workers(life: Ray) -> None:
    job = life.folder / "hold.py"
    job.write_text(HOLD)
    assert "held on 2 hosts" in life("submit", str(job))


def token_of(life: Ray) -> str:
    """The cluster's token, from the file that `ray up` keeps on this machine."""
    (file,) = (life.folder / ".raydog/clusters").glob("*/auth_token")
    return file.read_text()


def check_documented(sockets: Iterable[Socket], head: str) -> None:
    """Compare the sockets with the table of docs/security.md, in both directions."""
    table = documented_ports()
    assert [each for each in sockets if not any(row.covers(each, head) for row in table)] == []
    unseen = [row.first for row in table if not any(row.covers(each, head) for each in sockets)]
    assert unseen == [23000], "no socket, though only Ray Client's processes come and go"


class Scan:
    """The scanner on a host outside the cluster."""

    def __init__(self, logins: Logins, outside: str, head: str, sockets: Iterable[Socket]) -> None:
        self._logins = logins
        self._outside = outside
        self._head = head
        self._doors = sorted({(each.host, each.port) for each in sockets})
        self._of_ray = {
            (each.host, each.port) for each in sockets if each.port not in NO_RAY and each.listens_on != "loopback"
        }

    def without_token(self) -> None:
        """No client, page or method of any service does anything, with no token and with a wrong one."""
        everything = ["worker", "store", "client", "job", "agent"]
        with ThreadPoolExecutor() as both:
            none = both.submit(self._run, self._outside, None, methods="all", clients=everything, seconds=15)
            wrong = both.submit(self._run, self._outside, "wrong", methods="harmless", clients=["store"], seconds=15)
        for found in (none.result(), wrong.result()):
            assert [each for each in found if each["outcome"] == "in"] == []
            assert self._doors_where(found, "refused", "metrics") == self._of_ray

    def with_token(self, token: str, on_loopback: set[str]) -> list[dict[str, Any]]:
        """Each client works, and something answers at each door. Clients of loopback doors run on the head."""
        inside, outside = sorted(CLIENTS & on_loopback), sorted(CLIENTS - on_loopback)
        options = {"methods": "harmless", "seconds": 90}
        found = self._run(self._head, token, clients=inside, head="127.0.0.1", doors=[], **options)
        found += self._run(self._outside, token, clients=outside, **options)
        assert [each for each in found if each["attempt"] in CLIENTS and each["outcome"] != "in"] == []
        assert self._doors_where(found, "in", "metrics") >= self._of_ray
        return found

    def _run(self, at: str, token: str | None, **given: Any) -> list[dict[str, Any]]:
        began = time.monotonic()
        found = self._logins.scan(at, **{"head": self._head, "doors": self._doors, "token": token, **given})
        print(f"scan from {at}: {time.monotonic() - began:.1f} s")  # noqa: T201 - shown by pytest when a test fails
        return found

    @staticmethod
    def _doors_where(found: list[dict[str, Any]], *outcomes: str) -> set[tuple[str, int]]:
        return {(each["host"], each["port"]) for each in found if each["outcome"] in outcomes}
