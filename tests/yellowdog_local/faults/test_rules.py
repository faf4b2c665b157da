"""Rules of faults: invalid ones are refused with the reason, and each kind has a description."""

from __future__ import annotations

from typing import Any

import pytest

from yellowdog_local import faults
from yellowdog_local.cli import fault_kinds
from yellowdog_local.faults import rules


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
