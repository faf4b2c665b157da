"""Faults by rule: what may be asked for, who has been struck, and where machines are made to fail. No HTTP.

For example `local.faults.add(faults.Status(call="POST /work/requirements", status=429, times=3))`; see docs/faults.md.
"""

from yellowdog_local.faults.registry import Faults, Standing, Struck
from yellowdog_local.faults.rules import (
    AbortLost,
    ApplyThenFail,
    Capacity,
    Cut,
    Delay,
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
    "Faults",
    "Hang",
    "InvalidRule",
    "KeyRevoked",
    "ListingLag",
    "Lost",
    "NeverBoots",
    "NeverRegisters",
    "Rule",
    "Standing",
    "Status",
    "Struck",
    "TaskExits",
    "parse",
]
