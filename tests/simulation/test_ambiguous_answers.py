"""A creating call of the autoscaler that may have been applied, or not: no node, pool or task group is made twice."""

from contextlib import ExitStack

import pytest

from tests.simulation.ambiguities import AMBIGUITIES
from tests.simulation.phases import FIRST, FURTHER, NOTICE, SHRINKING, TYPES, YAML

pytestmark = pytest.mark.search

ADD_GROUP = "PUT /work/requirements"
ADD_POOL = "POST /workerPools/provisioned/template"
ADD_TASKS = "POST /work/taskGroups/*/tasks"
CREATING = {FIRST: (ADD_GROUP, ADD_POOL, ADD_TASKS), FURTHER: (ADD_TASKS,), NOTICE: (ADD_TASKS,)}
"""What each phase makes, each of which goes wrong once, one after the other."""


@pytest.mark.parametrize("ambiguity", AMBIGUITIES, ids=str)
def test_whatever_the_answer_was_nothing_is_made_twice(make_world, ambiguity):
    world = make_world(**YAML)
    world.tick()

    for phase, calls in CREATING.items():
        with ExitStack() as stack:
            for call in calls:
                stack.enter_context(ambiguity.striking(world.wire, call))
            phase.run(world, TYPES[0])
        phase.finish(world, TYPES[0])
    SHRINKING.run(world, TYPES[0])
