from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from ray.autoscaler._private import commands
from ray.autoscaler._private.providers import _clear_provider_cache

from tests.platform_time import PlatformTime
from tests.ssh_keys import write_key
from tests.yellowdog_ray.cluster_lab import BOOT, LabCluster, head_up
from tests.yellowdog_ray.hand_moved_time import Time
from tests.yellowdog_ray.ray_cli import create_head, make_provider
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform
from yellowdog_ray.cluster.cluster import Identity
from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.provider import RayDogNodeProvider


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    return write_key(tmp_path / "id_ed25519")


@pytest.fixture
def cluster_yaml(ssh_key: Path) -> dict[str, Any]:
    """A cluster's YAML as Ray hands it to the provider, with nothing but what is needed."""
    return {
        "cluster_name": "demo",
        "max_workers": 2,
        "provider": {
            "type": "external",
            "module": "yellowdog_ray.raydog.autoscaler.RayDogNodeProvider",
            "cluster_namespace": "demo",
        },
        "auth": {"ssh_user": "yd-agent", "ssh_private_key": str(ssh_key)},
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "node_config": {"compute_requirement_template": "demo/local"}},
            "worker": {
                "resources": {"CPU": 1},
                "labels": {"zone": "here"},
                "max_workers": 2,
                "node_config": {"compute_requirement_template": "demo/local"},
            },
        },
        "file_mounts": {},
        "setup_commands": [],
        "head_start_ray_commands": [],
    }


class ApiCalls:
    """Every request that leaves through `requests`, as `VERB path`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        send = requests.Session.send

        def record(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            self.made.append(f"{request.method} {urlsplit(str(request.url)).path}")
            return send(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", record)

    def during(self, action: Callable[[], object]) -> list[str]:
        """The calls that an action made."""
        self.made.clear()
        action()
        return list(self.made)


@pytest.fixture
def local() -> Iterator[RunningPlatform]:
    """A platform on which time passes only when a test says so."""
    with local_platform(clock=SteppedClock()) as running:
        yield running


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> ApiCalls:
    return ApiCalls(monkeypatch)


MakeCluster = Callable[..., LabCluster]


@pytest.fixture
def make_cluster(local: RunningPlatform) -> Iterator[MakeCluster]:
    """Makes the object that a `ray` command, or the head's autoscaler, works with; each call is another process."""
    made: list[LabCluster] = []

    def make(name: str = "demo", *, on_head: bool = False, pinned: str | None = None, **provider: Any) -> LabCluster:
        settings = parse_provider({"cluster_namespace": "demo", **provider}, "cluster.yaml")
        credentials = Credentials(local.url, local.key_id, local.key_secret)
        identity = Identity(name, pinned, fixed=on_head)
        platform = Platform(credentials, settings.cluster_namespace)
        cluster = LabCluster(identity, platform, settings, PlatformTime(local), on_head=on_head)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def head_side(local: RunningPlatform, make_cluster: MakeCluster) -> LabCluster:
    """The cluster as the autoscaler on its running head sees it."""
    work = head_up(make_cluster())
    local.advance(BOOT)
    cluster = make_cluster(on_head=True, pinned=work)
    cluster.refresh()
    return cluster


@pytest.fixture
def platform() -> Iterator[RunningPlatform]:
    """Time stands still but for what a test says; it begins now, since the provider has the machine's clock here."""
    with local_platform(clock=SteppedClock(datetime.now(timezone.utc))) as running:
        yield running


@pytest.fixture
def in_a_users_folder(platform: RunningPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user who has a good key."""
    for name in ("RAYDOG_ON_HEAD", "RAYDOG_WORK_REQUIREMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)  # Python remembers the one of an earlier test
    monkeypatch.setenv("YD_API_URL", platform.url)
    monkeypatch.setenv("YD_API_KEY_ID", platform.key_id)
    monkeypatch.setenv("YD_API_KEY_SECRET", platform.key_secret)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "POLL_INTERVAL", 0.0)  # `ray down` sleeps so long before it lists again
    _clear_provider_cache()  # Ray keeps providers for the life of a process, which here is many commands long
    return tmp_path


@pytest.fixture
def head_provider(
    platform: RunningPlatform,
    in_a_users_folder: Path,
    cluster_yaml: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RayDogNodeProvider]:
    """The provider in the autoscaler of a head that has just come up."""
    on_laptop = make_provider(cluster_yaml)
    create_head(on_laptop, cluster_yaml)
    platform.advance(BOOT)
    monkeypatch.setenv("RAYDOG_ON_HEAD", "1")
    monkeypatch.setenv("RAY_enable_autoscaler_v2", "1")
    monkeypatch.setenv("RAYDOG_WORK_REQUIREMENT_ID", on_laptop.side.cluster.find().id)
    monkeypatch.setattr("yellowdog_ray.wiring.SystemClock", lambda: PlatformTime(platform))
    monkeypatch.setattr(RayNodes, "_request", lambda *_: None)  # no Ray runs here
    provider = make_provider(cluster_yaml)
    yield provider
    provider.side.publisher.close()
    provider.side.cluster.close()
