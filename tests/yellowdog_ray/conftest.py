from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.platform_time import PlatformTime
from tests.yellowdog_ray.cluster_lab import BOOT, LabCluster, head_up
from tests.yellowdog_ray.hand_moved_time import Time
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform
from yellowdog_ray.cluster.cluster import Identity
from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.platform.client import Platform


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    key = tmp_path / "id_ed25519"
    key.write_text("not a real key\n")
    return key


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
        """What an action asked for."""
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
