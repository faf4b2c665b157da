"""Creating calls of `ray up` that may or may not have been applied: one cluster exists in any case."""

import pytest

from tests.simulation.ambiguities import AMBIGUITIES

pytestmark = pytest.mark.search

CREATING = ["POST /work/requirements", "POST /workerPools/provisioned/template", "POST /work/taskGroups/*/tasks"]


@pytest.mark.parametrize("ambiguity", AMBIGUITIES, ids=str)
def test_ray_up_creates_one_cluster_after_ambiguous_answer(laptop, wire, account, ambiguity):
    for call in CREATING:
        with ambiguity.striking(wire, call):
            result = laptop.up()
        assert result.exit_code == 0, f"{call}: {result.output}"
        account.assert_one_cluster()
        assert laptop.down().exit_code == 0
        account.assert_nothing_left()
