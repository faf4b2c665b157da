"""The published document: its bounds, and what is read of one that others wrote."""

from datetime import datetime, timezone

import pytest

from tests.yellowdog_ray.cluster_lab import head_up
from yellowdog_ray import names
from yellowdog_ray.cluster.journal import Act, Decision
from yellowdog_ray.cluster.published import (
    MAX_BYTES,
    VERSION,
    BackOffState,
    HeadState,
    NodeTypeState,
    Notice,
    Shape,
    decode,
    encode,
    end_publications,
)
from yellowdog_ray.redaction import _hidden, hide

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)
TOKEN = "0a0b0c0d"


def make_state(**fields) -> HeadState:
    return HeadState(version=VERSION, cluster="demo", head=f"head-{TOKEN}", at=NOW, started=NOW, **fields)


def decisions(count: int) -> list[Decision]:
    return [Decision(NOW, Act.LAUNCHED, "cpu", 1, (f"cpu-{number}",), "", "why") for number in range(count)]


def test_document_is_read_as_it_was_written():
    state = make_state(
        max_workers=3,
        node_types={"cpu": NodeTypeState(max_workers=3, resources={"CPU": 4.0})},
        demand=[Shape(resources={"GPU": 1.0}, count=7)],
        back_offs=[BackOffState(node_type="cpu", code="NotFound", reason="no template", failures=2, until=NOW)],
    )

    read = decode(encode(state, decisions(2), 0), "demo", TOKEN)

    assert read is not None
    assert read.model_copy(update={"decisions": []}) == state
    assert [decision.nodes for decision in read.decisions] == [["cpu-0"], ["cpu-1"]]


def test_large_document_omits_the_oldest_decisions():
    text = encode(make_state(), decisions(1_000), 5)
    read = decode(text, "demo", TOKEN)

    assert len(text.encode()) <= MAX_BYTES
    assert read is not None
    assert read.decisions[-1].nodes == ["cpu-999"]
    assert read.omitted == 1_000 - len(read.decisions) + 5


def test_state_of_many_node_types_stays_below_the_limit():
    types = {
        f"type-{number}": NodeTypeState(max_workers=1, resources={"CPU": 1.0, "x" * 40: 2.0}) for number in range(900)
    }
    shapes = [Shape(resources={"y" * 900: float(number)}) for number in range(20)]

    text = encode(make_state(node_types=types, demand=shapes), decisions(3), 0)

    assert len(text.encode()) <= MAX_BYTES
    assert decode(text, "demo", TOKEN).decisions


@pytest.mark.parametrize("most", [MAX_BYTES, 2_048])
@pytest.mark.parametrize("part", ["back_offs", "notices", "demand"])
def test_every_part_stays_below_the_limit(part, most):
    back_off = BackOffState(node_type="gpu", code="NoCapacity", reason="é" * 1_000, failures=1, until=NOW)
    parts = {
        "back_offs": [back_off.model_copy(update={"node_type": f"gpu-{number}"}) for number in range(60)],
        "notices": [Notice(kind=f"{number}", text="x" * 1_000) for number in range(60)],
        "demand": [Shape(resources={"y" * 20_000: 1.0})],
    }

    text = encode(make_state(**{part: parts[part]}), [], 0, most)

    assert len(text.encode()) <= most
    state = decode(text, "demo", TOKEN)
    assert state is not None
    assert part == "demand" or getattr(state, part)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        '{"version": 1}',
        '{"version": 2, "cluster": "demo", "head": "head-0a0b0c0d", "at": "2026-01-02T00:00:00Z"}',
        "[" * 100_000,
        " " * 300_000,
        encode(make_state(), [], 0).replace("demo", "other"),
        encode(make_state(), [], 0).replace(TOKEN, "ffffffff"),
        encode(make_state(max_workers=3), [], 0).replace('"maxWorkers":3', '"maxWorkers":"many"'),
        encode(make_state(idle_timeout_minutes=3), [], 0).replace("3.0", "NaN"),
        encode(make_state(), [], 0).replace("Z", ""),
        encode(make_state(), [], 0).replace("2026", "9999"),
        encode(make_state(), [], 0).replace("2026", "0001"),
        encode(make_state(max_workers=3), [], 0).replace('"maxWorkers":3', '"maxWorkers":-3'),
        encode(make_state(idle_timeout_minutes=3), [], 0).replace("3.0", "1e308"),
        encode(make_state(demand=[Shape(resources={"CPU": 3.0})]), [], 0).replace("3.0", "-3.0"),
    ],
)
def test_document_of_others_is_not_read(text):
    assert decode(text, "demo", TOKEN) is None


def test_secrets_are_not_published(monkeypatch):
    monkeypatch.setattr("yellowdog_ray.redaction._hidden", _hidden.copy())
    hide("the-secret-of-the-key")
    reason = BackOffState(node_type="cpu", code="x", reason="the-secret-of-the-key", failures=1, until=NOW)

    assert "the-secret" not in encode(make_state(back_offs=[reason]), [], 0)


def test_publication_can_run_nothing_and_is_no_cluster(local, make_cluster):
    cluster = make_cluster()
    head_up(cluster)
    work = cluster.find()
    tag = names.state_tag(work.groups[0].worker_tag)
    pools = len(local.platform.store.pools)

    created = cluster.platform.create_document(names.new_state_name(names.token_of(tag)), tag, "text")
    local.advance(3600)

    assert len(local.platform.store.pools) == pools
    assert cluster.platform.document(created) == "text"
    assert cluster.last().id == work.id
    assert [entry.id for entry in cluster.platform.documents(tag, finished=False)] == [created]
    assert cluster.platform.documents(tag[:-1]) == []
    end_publications(cluster.platform, work)
    assert cluster.platform.documents(tag, finished=False) == []
    assert cluster.platform.document(created) == "text"
