"""A worker's task and its token service, each on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.yellowdog_ray.node.worker_task import Door, Worker
from yellowdog_ray.monitor.certificate import Certificate
from yellowdog_ray.monitor.token_service import TokenService


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("auth") / "token_service.pem")


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def service(certificate: Certificate, door: Door) -> Iterator[TokenService]:
    service = TokenService(certificate.context(), door, 0)
    yield service
    service.close()


@pytest.fixture
def worker(tmp_path: Path, service: TokenService, certificate: Certificate) -> Worker:
    return Worker(tmp_path, service.port, certificate.fingerprint)
