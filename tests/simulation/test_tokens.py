"""A cluster's life leaves its token nowhere, and no ticket that still gives it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import ray

from tests.simulation.config import cluster_config, node_type
from yellowdog_ray.monitor.node_addresses import NodeAddresses
from yellowdog_ray.node.ray_versions import has_tokens
from yellowdog_ray.node.variables import AUTH_MODE, CLOUD_INSTANCE_ID, TICKET

needs_tokens = pytest.mark.skipif(not has_tokens(ray.__version__), reason="this version of Ray has no tokens")


@pytest.fixture
def traffic(make_world, caplog, monkeypatch) -> tuple[Any, list[bytes]]:
    """A world, and everything that went over the wire since before its cluster."""
    caplog.set_level(logging.DEBUG)
    seen: list[bytes] = []
    from tests.simulation.wire import Wire

    send = Wire.send

    def record(wire: Wire, pool: Any, conn: Any, method: str, url: str, body: bytes, headers: Any) -> Any:
        answer = send(wire, pool, conn, method, url, body, headers)
        seen.extend([url.encode(), body, json.dumps(dict(headers)).encode(), answer.body])
        return answer

    monkeypatch.setattr(Wire, "send", record)
    types = {"head": node_type(resources={"CPU": 0}, max_workers=0), "worker": node_type(max_workers=3)}
    return make_world(available_node_types=types), seen


def token_of(world: Any) -> str:
    """The token, from the only place on the user's machine that has it; the head gets its file."""
    token: str = (world.home / own_file(world)).read_text()
    (world.home / ".ray").mkdir()
    (world.home / ".ray/auth_token").write_text(token)
    return token


def own_file(world: Any) -> str:
    return f".raydog/clusters/demo.{world.yaml['cluster_name']}/auth_token"


def redeem(world: Any, node_id: str, nonce: str) -> dict[str, str]:
    """The answer to a process on a worker's host, which has the task's environment."""
    environment = world.task(node_id).entity.environment
    request = {"node": environment[CLOUD_INSTANCE_ID], "ticket": environment[TICKET], "nonce": nonce}
    side = world.provider.side
    (address, *_) = NodeAddresses(side.cluster, side.platform, lambda: 0.0).of(node_id)
    answer: dict[str, str] = side.admission.answer(request, address)
    return answer


def places_with(text: str, folder: Path) -> set[str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)) for file in files if text.encode() in file.read_bytes()}


@needs_tokens
def test_life_leaves_the_token_nowhere_and_no_ticket_that_gives_it(traffic, caplog):
    world, seen = traffic
    token = token_of(world)
    world.want_cpus(3)
    world.ticks(5)
    workers = sorted(world.listed())
    assert len(workers) == 3

    assert [redeem(world, node_id, "n") for node_id in workers] == [{"token": token}] * 3
    world.restart_autoscaler()
    world.ticks(2)

    assert all("redeemed before" in redeem(world, node_id, "other")["refused"] for node_id in workers)
    recording = b"\n".join(seen)
    assert all(world.task(node_id).entity.environment[TICKET].encode() in recording for node_id in workers)
    assert token.encode() not in recording
    assert token not in caplog.text
    assert places_with(token, world.home) == {".ray/auth_token", own_file(world)}


@needs_tokens
def test_replacement_has_a_ticket_of_its_own(traffic):
    from tests.simulation.test_preemption import warn

    world, _ = traffic
    token = token_of(world)
    world.want_cpus(1)
    world.ticks(4)
    (lost,) = world.listed()
    redeem(world, lost, "n")
    warn(world, lost)
    world.ticks(3)
    (new,) = world.listed() - {lost}

    assert redeem(world, new, "n") == {"token": token}


def test_cluster_without_tokens_disables_them_in_every_task(make_world):
    """An image with a token would turn them on."""
    provider = cluster_config("demo", Path())["provider"]
    world = make_world(provider={**provider, "ray_auth": "none"})
    world.want_cpus(1)
    world.ticks(4)

    environments = [task.entity.environment for task in world.tasks()]
    assert [environment[AUTH_MODE] for environment in environments] == ["disabled"] * 2
    assert not any(TICKET in environment for environment in environments)
