"""Faults by rule. May import `agents`, `compute`, `events`, `hosts`, `pools`, `state` and the base modules.

For example `local.faults.add(faults.Status(call="POST /work/requirements", status=429, times=3))`; see docs/faults.md.
"""

from yellowdog_local.faults.registry import Faults, Hit, RuleState
from yellowdog_local.faults.rules import (
    AbortLost,
    ApplyThenFail,
    Capacity,
    Cut,
    Delay,
    Drip,
    Hang,
    InvalidRule,
    KeyRevoked,
    ListingLag,
    Lost,
    NeverBoots,
    NeverRegisters,
    Rule,
    Status,
    TaskExits,
    parse,
)

__all__ = [
    "AbortLost",
    "ApplyThenFail",
    "Capacity",
    "Cut",
    "Delay",
    "Drip",
    "Faults",
    "Hang",
    "Hit",
    "InvalidRule",
    "KeyRevoked",
    "ListingLag",
    "Lost",
    "NeverBoots",
    "NeverRegisters",
    "Rule",
    "RuleState",
    "Status",
    "TaskExits",
    "parse",
]
