"""The cluster that a command is about, by its name."""

from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import make_work
from yellowdog_ray import names
from yellowdog_ray.inventory import target
from yellowdog_ray.inventory.target import Target


@pytest.mark.parametrize("name", ["n" * 60, "a-very-long-cluster-name-of-a-user-who-likes-long-names-x", "demo"])
def test_later_generation_is_found_by_the_clusters_name(monkeypatch, name):
    work = make_work(names.work_name(name, 2), tag=names.pool_name(name, "head", "0a0b0c0d"))
    monkeypatch.setattr(target, "find_last_work", lambda *_: work)
    account = SimpleNamespace(within=lambda _: None)

    found = target.find(account, Target(name, "demo"))

    assert found is not None
    assert (found.name, found.work) == (name, work)
