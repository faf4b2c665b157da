"""The active rules: to which matches they apply, and their removal."""

from __future__ import annotations

from typing import Any

import pytest

from yellowdog_local import faults
from yellowdog_local.errors import NotFound


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
