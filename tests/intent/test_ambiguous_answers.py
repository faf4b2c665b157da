"""A creating call of `ray up` that may have been applied, or not: all is well, or is so after one clear message."""

import pytest

from tests.autoscaler.ambiguities import AMBIGUITIES
from tests.intent.laptop import assert_one_clear_message

CREATING = ["POST /work/requirements", "POST /workerPools/provisioned/template", "POST /work/taskGroups/*/tasks"]


@pytest.mark.parametrize("ambiguity", AMBIGUITIES, ids=str)
def test_whatever_the_answer_was_there_is_one_cluster_in_the_end(local, laptop, wire, account, ambiguity, monkeypatch):
    ambiguity.prepare(monkeypatch)

    for call in CREATING:
        with ambiguity.striking(local, wire, call):
            first = laptop.up()
        if ambiguity.retried:
            assert first.exit_code == 0, f"{call}: {first.output}"
        else:
            assert_one_clear_message(first)
            assert laptop.up().exit_code == 0
        account.assert_one_cluster()
        assert laptop.down().exit_code == 0
        account.assert_nothing_left()
