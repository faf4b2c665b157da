"""A platform in real time with simulated hosts, and YellowDog's own command line configured for it as in the docs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from yellowdog_client import PlatformClient
from yellowdog_client.model import AutoShutdown, ComputeRequirementTemplateUsage, ProvisionedWorkerPool
from yellowdog_client.model import ProvisionedWorkerPoolProperties as Properties

from tests.official_cli.command_line import HOW_TO_GET_IT, OfficialCli, WarmPython, is_installed
from tests.yellowdog_local.host_support import eventually
from yellowdog_local.testing import RunningPlatform, local_platform

HERE = Path(__file__).parent
# A dozen commands in one test: on a busy machine that takes its time.
TIMEOUT_SECONDS = 180
CONFIGURATION = """
[common]
namespace = "demo"
tag = "daily"

[workerPool]
name = "pool"
templateId = "demo/local"
targetInstanceCount = 1
maxNodes = 3
workerTag = "cpu"

[workRequirement]
taskType = "bash"
workerTags = ["cpu"]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.official_cli)
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
            if not is_installed():
                item.add_marker(pytest.mark.skip(reason=HOW_TO_GET_IT))


@pytest.fixture
def local() -> Iterator[RunningPlatform]:
    with local_platform() as running:
        yield running


@pytest.fixture
def client(local: RunningPlatform) -> Iterator[PlatformClient]:
    with local.client() as made:
        yield made


@pytest.fixture(scope="package")
def warm_python() -> Iterator[WarmPython]:
    with WarmPython() as python:
        yield python


@pytest.fixture
def yd(local: RunningPlatform, warm_python: WarmPython, tmp_path: Path) -> OfficialCli:
    lines = (f"YD_API_URL={local.url}", f"YD_API_KEY_ID={local.key_id}", f"YD_API_KEY_SECRET={local.key_secret}")
    return OfficialCli(warm_python, tmp_path, "\n".join(lines) + "\n", CONFIGURATION)


@pytest.fixture
def pool(local: RunningPlatform, client: PlatformClient) -> ProvisionedWorkerPool:
    """A pool of one idle platform node, and no more."""
    usage = ComputeRequirementTemplateUsage(
        templateId="demo/local",
        requirementNamespace="demo",
        requirementName="pool",
        requirementTag="daily",
        targetInstanceCount=1,
    )
    off = AutoShutdown(enabled=False)
    properties = Properties(minNodes=0, maxNodes=1, workerTag="cpu", idleNodeShutdown=off, idlePoolShutdown=off)
    made = client.worker_pool_client.provision_worker_pool(usage, properties)
    eventually(lambda: local.platform.store.pool(made.id).active_nodes == 1)
    return made
