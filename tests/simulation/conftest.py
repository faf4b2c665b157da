from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulation import ray_time
from tests.simulation.v1 import V1
from tests.simulation.v2 import V2
from tests.simulation.wire import Wire
from tests.simulation.world import BOOT_SECONDS, HeadTime, World, add_roomy_template, cluster_config, head_up
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform

CLUSTER = "ray"
NEIGHBOUR = "ray-production"
NEIGHBOUR_WORKERS = 2

MakeWorld = Callable[..., World]


@pytest.fixture
def local() -> Iterator[RunningPlatform]:
    """A platform on which time passes only when a test says so."""
    with local_platform(clock=SteppedClock()) as running:
        add_roomy_template(running)
        yield running


@pytest.fixture
def home(local: RunningPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of whoever runs the provider, with a good key in the environment."""
    for name in ("RAYDOG_ON_HEAD", "RAYDOG_WORK_REQUIREMENT_ID", "RAY_enable_autoscaler_v2"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("yellowdog_ray.wiring.SystemClock", lambda: HeadTime(local))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("YD_API_URL", local.url)
    monkeypatch.setenv("YD_API_KEY_ID", local.key_id)
    monkeypatch.setenv("YD_API_KEY_SECRET", local.key_secret)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "id_ed25519").write_text("not a real key\n")
    return tmp_path


@pytest.fixture
def neighbour(local: RunningPlatform, home: Path) -> None:
    """Another cluster of the same account, whose name begins like ours; it runs throughout."""
    provider, config = head_up(cluster_config(NEIGHBOUR, home / "id_ed25519", cluster_lifetime_hours=10))
    local.advance(BOOT_SECONDS + 1)
    provider.side.cluster.refresh()
    tags = {"ray-node-type": "worker", "ray-user-node-type": "worker", "ray-node-status": "uninitialized"}
    node_config = config["available_node_types"]["worker"]["node_config"]
    provider.create_node_with_resources_and_labels(node_config, tags, NEIGHBOUR_WORKERS, {"CPU": 1}, {})
    local.advance(BOOT_SECONDS + 1)


@pytest.fixture(params=[V2, V1], ids=["v2", "v1"])
def kind(request: pytest.FixtureRequest) -> type[V1] | type[V2]:
    """Which of Ray's autoscalers decides."""
    return request.param


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the Redis client wanted to sleep before asking the tag store once more."""
    wanted: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", wanted.append)
    return wanted


@pytest.fixture
def make_world(
    local: RunningPlatform,
    home: Path,
    neighbour: None,
    kind: type[V1] | type[V2],
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MakeWorld]:
    """Brings up a cluster under Ray's autoscaler; keyword arguments go into its YAML."""
    threads = ray_time.control(monkeypatch, local.clock.now)
    wire = Wire(monkeypatch)

    def make(**changes: Any) -> World:
        world = World(local, wire, threads, home, kind)
        monkeypatch.setattr("ray._raylet.GcsClient", lambda address: world.gcs)
        world.up(cluster_config(CLUSTER, home / "id_ed25519", **changes), monkeypatch)
        return world

    yield make
    threads.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A cluster of one worker type, CPU: 1, whose head has just come up."""
    return make_world()
