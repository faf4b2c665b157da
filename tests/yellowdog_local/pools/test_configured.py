from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from yellowdog_client.model import (
    AddConfiguredWorkerPoolRequest,
    CloudProvider,
    ConfiguredWorkerPoolProperties,
    WorkerPoolNodeConfiguration,
    WorkerPoolToken,
)

from tests.simulation.lab import Lab
from yellowdog_local.errors import AlreadyExists, InvalidRequest, NotCovered
from yellowdog_local.state.records import PoolRecord


def add(lab: Lab, name: str = "own", **fields: Any) -> tuple[PoolRecord, WorkerPoolToken]:
    with lab.platform.locked():
        return lab.platform.configured.add(AddConfiguredWorkerPoolRequest(name, "demo", **fields))


def test_name_and_configuration_are_checked(lab: Lab) -> None:
    lab.pool(1, "taken")
    with pytest.raises(AlreadyExists):
        add(lab, "taken")
    with pytest.raises(InvalidRequest):
        add(lab, "Own")
    with pytest.raises(NotCovered):
        add(lab, properties=ConfiguredWorkerPoolProperties(nodeConfiguration=WorkerPoolNodeConfiguration([], {})))


def test_same_machine_id_is_the_same_machine_and_has_its_own_place(lab: Lab) -> None:
    pool, token = add(lab, properties=ConfiguredWorkerPoolProperties(targetNodeCount=2))
    for _ in range(2):
        lab.hosts.join(token.secret or "", "desk", slots=2, provider="GOOGLE", region="office", instanceType="pc")
    node = lab.node(pool)
    details: Any = node.entity.details
    assert (len(pool.nodes), len(node.workers), pool.awaited) == (1, 2, 2)
    assert (details.provider, details.region, details.instanceType) == (CloudProvider.GOOGLE, "office", "pc")
    assert details.sourceNumber is None


def test_expired_token_admits_no_new_machine_until_it_is_refreshed(lab: Lab) -> None:
    pool, token = add(lab, tokenTtl=timedelta(seconds=10))
    secret = token.secret or ""
    lab.hosts.join(secret, "first")
    lab.advance(10)
    lab.hosts.join(secret, "second")
    assert len(pool.nodes) == 1
    lab.hosts.join(secret, "first")
    lab.do(lambda p: p.configured.refresh_token(pool.id, timedelta(seconds=10)))
    lab.hosts.join(secret, "second")
    assert len(pool.nodes) == 2


def test_regenerated_token_replaces_the_old_one(lab: Lab) -> None:
    pool, token = add(lab)
    old = token.secret or ""
    with lab.platform.locked():
        new = lab.platform.configured.regenerate_token(pool.id, None)
    assert (new.secret != old, new.expiryTime) == (True, None)
    lab.hosts.join(old, "first")
    assert pool.nodes == {}
    lab.hosts.join(new.secret or "", "first")
    assert len(pool.nodes) == 1


def test_provisioned_pool_has_no_token(lab: Lab) -> None:
    pool = lab.pool()
    with pytest.raises(InvalidRequest, match="is not a configured worker pool"):
        lab.platform.configured.token(pool.id)
