"""The requests that end a cluster, on a platform of views. `ray down` tests them in `commands/test_teardown.py`."""

from datetime import timedelta
from types import SimpleNamespace

from tests.yellowdog_ray.inventory.conftest import TAG, make_work
from yellowdog_ray.cluster.ending import end_machines_after, request_end
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.platform.types import PoolView

POOL = PoolView("p", TAG, "RUNNING", False, "c")


def views(pool: PoolView, calls: list[str]) -> SimpleNamespace:
    """A platform with one pool, which records the calls that change something."""

    def refuse(requirement_id: str, _: timedelta) -> None:
        calls.append(f"end {requirement_id} later")
        raise Unavailable("no answer")

    return SimpleNamespace(
        find_pool=lambda _: pool,
        listed_pools=lambda _: [pool],
        pool=lambda _: pool,
        shut_down_pool=lambda pool_id: calls.append(f"shut down {pool_id}"),
        cancel_work_requirement=lambda work_id: calls.append(f"cancel {work_id}"),
        end_compute_after=refuse,
    )


def test_request_end_shuts_pools_down_before_it_cancels_the_work_requirement():
    calls: list[str] = []
    work = make_work()

    assert request_end(views(POOL, calls), work) == []

    assert calls == ["shut down p", f"cancel {work.id}"]


def test_end_machines_after_returns_failures_and_skips_pools_without_machines():
    calls: list[str] = []
    pools = [POOL, PoolView("q", "another", "RUNNING", False, None)]

    failures = end_machines_after(views(POOL, calls), pools, timedelta(seconds=1))

    assert {pool: str(failure) for pool, failure in failures.items()} == {"p": "no answer"}
    assert calls == ["end c later"]
