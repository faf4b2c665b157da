"""A platform that allows less than its documentation: the provider learns the limits from the refusals."""

import pytest

from tests.simulation.config import node_type
from yellowdog_local.state.settings import Settings

WORKERS = 8


@pytest.fixture(
    params=[{"max_instances": 3}, {"max_nodes_limit": 3}, {"max_tasks_per_call": 3}],
    ids=lambda changes: next(iter(changes)),
)
def settings(request):
    """The platform's settings."""
    return Settings(**request.param)


def test_all_workers_join_within_the_platforms_limit(make_world, settings):
    types = {"head": node_type(resources={"CPU": 0}, max_workers=0), "worker": node_type(max_workers=WORKERS)}
    world = make_world(available_node_types=types, max_workers=WORKERS)

    world.want_cpus(WORKERS)
    world.ticks(6)

    assert len(world.ray.workers) == WORKERS
    limit = settings.max_nodes_limit or settings.max_instances
    assert {pool.max_nodes <= limit for pool in world.ours.open_pools} == {True}
