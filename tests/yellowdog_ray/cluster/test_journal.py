"""The journal: which decisions wait for publication, and which are one."""

from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.cluster import journal
from yellowdog_ray.cluster.journal import Act, Journal
from yellowdog_ray.redaction import _hidden, hide


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kept(clock):
    return Journal(clock)


def test_nodes_terminated_one_by_one_are_one_decision(kept, clock):
    for number in range(30):
        kept.note(Act.TERMINATED, "idle", node_type="cpu", node_ids=[f"cpu-{number}"])
        clock.now += timedelta(seconds=1)

    _, (decision,), _ = kept.pending()

    assert (decision.count, decision.nodes[0], len(decision.nodes)) == (30, "cpu-0", journal.MAX_NODES)
    assert decision.time == clock.now - timedelta(seconds=30)


@pytest.mark.parametrize(
    ("text", "node_type", "code", "seconds"),
    [("other", "cpu", "", 1), ("idle", "gpu", "", 1), ("idle", "cpu", "Throttled", 1), ("idle", "cpu", "", 61)],
)
def test_other_decisions_are_kept_apart(kept, clock, text, node_type, code, seconds):
    kept.note(Act.TERMINATED, "idle", node_type="cpu", node_ids=["cpu-1"])
    clock.now += timedelta(seconds=seconds)
    kept.note(Act.TERMINATED, text, node_type=node_type, node_ids=["x"], code=code)

    assert len(kept.pending()[1]) == 2


def test_decision_during_a_publication_is_published_next(kept):
    kept.note(Act.LAUNCHED, "first", node_type="cpu", node_ids=["cpu-1"])
    mark, _, _ = kept.pending()
    kept.note(Act.LAUNCHED, "first", node_type="cpu", node_ids=["cpu-2"])

    kept.published(mark)

    assert [decision.nodes for decision in kept.pending()[1]] == [("cpu-2",)]


def test_decisions_of_a_failed_publication_stay(kept):
    kept.note(Act.LAUNCHED, "first", node_type="cpu", node_ids=["cpu-1"])
    kept.pending()

    assert len(kept.pending()[1]) == 1


def test_oldest_decisions_are_dropped_and_counted(kept):
    for number in range(journal.MAX_DECISIONS + 3):
        kept.note(Act.BACKED_OFF, f"{number}", node_type="cpu")

    mark, decisions, dropped = kept.pending()
    kept.published(mark)

    assert (decisions[0].text, len(decisions), dropped) == ("3", journal.MAX_DECISIONS, 3)
    assert kept.pending()[1:] == ([], 0)


def test_secret_at_the_end_of_a_long_text_is_redacted_before_the_cut(kept, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.redaction._hidden", _hidden.copy())
    hide("the-secret-of-the-key")
    kept.note(Act.BACKED_OFF, "y" * (journal.MAX_TEXT - 15) + "the-secret-of-the-key")

    _, (decision,), _ = kept.pending()

    assert "the-secret" not in decision.text
