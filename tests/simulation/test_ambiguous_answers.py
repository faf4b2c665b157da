"""Creating calls of the autoscaler that may or may not have been applied: no node, pool or task group exists twice."""

from contextlib import ExitStack

import pytest

from tests.simulation.ambiguities import AMBIGUITIES
from tests.simulation.phases import FIRST, FURTHER, NOTICE, SHRINKING, TYPES, YAML

pytestmark = pytest.mark.search

ADD_GROUP = "PUT /work/requirements"
ADD_POOL = "POST /workerPools/provisioned/template"
ADD_TASKS = "POST /work/taskGroups/*/tasks"
CREATING = {FIRST: (ADD_GROUP, ADD_POOL, ADD_TASKS), FURTHER: (ADD_TASKS,), NOTICE: (ADD_TASKS,)}
"""The creating calls of each phase; each call fails once, one after the other."""


@pytest.mark.parametrize("ambiguity", AMBIGUITIES, ids=str)
def test_autoscaler_creates_nothing_twice_after_ambiguous_answer(make_world, ambiguity):
    world = make_world(**YAML)
    world.tick()

    for phase, calls in CREATING.items():
        with ExitStack() as stack:
            for call in calls:
                stack.enter_context(ambiguity.striking(world.wire, call))
            phase.run(world, TYPES[0])
        phase.finish(world, TYPES[0])
    SHRINKING.run(world, TYPES[0])
