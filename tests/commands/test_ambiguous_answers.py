"""A creating call of `ray up` that may have been applied, or not: it is one cluster all the same."""

import pytest

from tests.simulation.ambiguities import AMBIGUITIES

pytestmark = pytest.mark.search

CREATING = ["POST /work/requirements", "POST /workerPools/provisioned/template", "POST /work/taskGroups/*/tasks"]


@pytest.mark.parametrize("ambiguity", AMBIGUITIES, ids=str)
def test_whatever_the_answer_was_there_is_one_cluster_in_the_end(laptop, wire, account, ambiguity):
    for call in CREATING:
        with ambiguity.striking(wire, call):
            result = laptop.up()
        assert result.exit_code == 0, f"{call}: {result.output}"
        account.assert_one_cluster()
        assert laptop.down().exit_code == 0
        account.assert_nothing_left()
