"""Rules of faults: their patterns, what is refused, and to which matches they apply."""

from __future__ import annotations

from typing import Any

import pytest

from yellowdog_local import faults
from yellowdog_local.call_patterns import CallPattern
from yellowdog_local.cli import fault_kinds
from yellowdog_local.errors import NotFound
from yellowdog_local.faults import rules


@pytest.mark.parametrize(
    ("text", "call", "meant"),
    [
        ("*", "GET /work/tasks", True),
        ("GET *", "POST /work/tasks", False),
        ("/work/tasks", "POST /work/tasks", True),
        ("get /work/tasks/", "GET /work/tasks", True),
        ("GET /work/tasks", "GET /work/tasks/", True),
        ("GET /work/tasks", "GET /work/tasks/ydid:task:1", False),
        ("GET /work/tasks/*", "GET /work/tasks/ydid:task:1", True),
        ("GET /work/tasks/{id}", "GET /work/tasks/ydid:task:1", True),
        ("GET /work/*", "GET /work/tasks/ydid:task:1", False),
        ("GET /work/**", "GET /work/tasks/ydid:task:1", True),
        ("PUT /work/tasks/ydid:task:*", "PUT /work/tasks/ydid:task:1", True),
        ("GET /work/tasks.", "GET /work/tasksx", False),
        ("*", "GET /agent/nodes/1/commands", False),
        ("GET /**", "GET /admin/faults", False),
        ("GET /agent/**", "GET /agent/nodes/1/commands", True),
    ],
)
def test_pattern_matches_calls_by_path_or_route(text: str, call: str, meant: bool) -> None:
    method, path = call.split()
    assert CallPattern(text).matches(method, path, "/work/tasks/{id}" if "ydid" in path else "-") is meant


@pytest.mark.parametrize("text", ["", "work/tasks", "FETCH /work", "GET work"])
def test_pattern_is_refused_with_an_example_when_malformed(text: str) -> None:
    with pytest.raises(faults.InvalidRule, match="is not a pattern of calls: give a method and a path, such as"):
        faults.parse({"kind": "hang", "call": text})


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"kind": "fire"}, "kind must be one of status, apply-then-fail, hang"),
        ([], "kind must be one of"),
        ({"kind": "hang", "status": 4}, "'hang' has no status; it takes nth, times, probability, seed, call, applied"),
        ({"kind": "delay"}, "seconds: Field required"),
        ({"kind": "status", "status": 200}, "status: Input should be greater than or equal to 400"),
        (
            {"kind": "capacity", "message": "{oops}"},
            "message may use {instance_type}, {region}, {granted} and {asked} only",
        ),
        ({"kind": "hang", "probability": 0}, "probability: Input should be greater than 0"),
    ],
)
def test_rule_is_refused_with_one_sentence_when_invalid(rule: Any, says: str) -> None:
    with pytest.raises(faults.InvalidRule, match=says):
        faults.parse(rule)


def test_every_kind_has_a_description() -> None:
    docstrings = {kind: (model.__doc__ or "").splitlines()[0] for kind, model in rules.KINDS.items()}
    assert docstrings == fault_kinds.KINDS


def applied(registry: faults.Faults, calls: int) -> str:
    hits = (registry.apply_to_call("GET", "/x", "-") for _ in range(calls))
    return "".join("x" if hit else "." for hit in hits)


@pytest.mark.parametrize(
    ("how", "hit"),
    [
        ({}, "xxxxxx"),
        ({"times": 2}, "xx...."),
        ({"nth": 3}, "..x..."),
        ({"nth": 3, "times": 2}, "..xx.."),
        ({"probability": 1.0, "times": 1}, "x....."),
    ],
)
def test_rule_applies_to_the_chosen_calls(how: dict[str, Any], hit: str) -> None:
    registry = faults.Faults()
    rule_id = registry.add(faults.Hang(call="GET /x", **how))

    assert applied(registry, 6) == hit
    state = registry.state(rule_id)
    assert (state.matched, state.applied, state.spent) == (6, hit.count("x"), bool(how))


def test_rule_applies_to_the_same_calls_with_the_same_seed() -> None:
    def drawn(seed: int) -> str:
        registry = faults.Faults()
        registry.add(faults.Hang(probability=0.5, seed=seed))
        return applied(registry, 40)

    assert drawn(1) == drawn(1) != drawn(2)
    assert 8 < drawn(1).count("x") < 32


def test_first_of_two_rules_applies_until_it_is_spent() -> None:
    registry = faults.Faults()
    first = registry.add(faults.Hang(times=2))
    second = registry.add(faults.Cut(nth=2))

    hits = [registry.apply_to_call("GET", "/x", "-") for _ in range(4)]
    assert [hit.id if hit else None for hit in hits] == [first, first, second, None]


def test_rule_does_not_apply_after_removal() -> None:
    registry = faults.Faults()
    rule_id = registry.add(faults.Hang())
    assert applied(registry, 1) == "x"
    registry.remove(rule_id)

    assert applied(registry, 1) == "."
    assert registry.rules() == []
    with pytest.raises(NotFound):
        registry.remove(rule_id)
    with registry.during(faults.Hang(), faults.Cut()) as made:
        assert len(registry.rules()) == 2
        registry.remove(made[0])
    assert registry.rules() == []
    assert not registry.has_call_rules
