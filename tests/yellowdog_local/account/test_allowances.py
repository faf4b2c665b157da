from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from yellowdog_client.model import (
    AccountAllowance,
    Allowance,
    AllowanceLimitEnforcement,
    AllowanceResetType,
    RequirementAllowance,
    SourcesAllowance,
)

from yellowdog_local.account.allowances import Allowances
from yellowdog_local.errors import InvalidRequest
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.store import Store

MOST_HOURS = 2**31 - 1


@pytest.fixture
def allowances(kernel: Kernel, store: Store, ids: Ids) -> Allowances:
    return Allowances(kernel, store, ids)


def allowance(kind: Any = AccountAllowance, **fields: Any) -> Allowance:
    usual: dict[str, Any] = {
        "effectiveFrom": datetime(2026, 1, 1, tzinfo=timezone.utc),
        "resetType": AllowanceResetType.NONE,
        "limitEnforcement": AllowanceLimitEnforcement.SOFT,
        "monitoredStatuses": [],
        "allowedHours": 5,
    }
    made: Allowance = kind(**{**usual, **fields})
    return made


@pytest.mark.parametrize("hours", [0, MOST_HOURS + 1])
def test_allowance_is_refused_with_hours_out_of_range(allowances: Allowances, hours: int) -> None:
    with pytest.raises(InvalidRequest, match="allowedHours must be between 1 and"):
        allowances.add(allowance(allowedHours=hours))


def test_allowance_is_refused_without_the_scope_of_its_kind(allowances: Allowances) -> None:
    with pytest.raises(InvalidRequest, match="RequirementAllowance needs a scope: set requirementId"):
        allowances.add(allowance(RequirementAllowance, requirementId=""))
    with pytest.raises(InvalidRequest, match="SourcesAllowance needs a scope"):
        allowances.add(allowance(SourcesAllowance))
    assert allowances.add(allowance(SourcesAllowance, regions=["eu"])).remainingHours == 5.0


def test_boosts_add_up_within_the_range(allowances: Allowances) -> None:
    kept = allowances.add(allowance())
    allowances.boost(kept.id or "", 2)
    assert (allowances.boost(kept.id or "", 3).boostHours, kept.remainingHours) == (5, 10.0)
    for hours in (0, MOST_HOURS):
        with pytest.raises(InvalidRequest):
            allowances.boost(kept.id or "", hours)
    assert (kept.boostHours, kept.remainingHours) == (5, 10.0)
