"""Allowances: stored and listed. They limit nothing here, so their hours are never used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yellowdog_client.model import (
    Allowance,
    AllowanceSearch,
    RequirementAllowance,
    RequirementsAllowance,
    SourceAllowance,
    SourcesAllowance,
)

from yellowdog_local.errors import InvalidRequest
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.plain_records import AllowanceRecord
from yellowdog_local.state.search import allowance_matches
from yellowdog_local.state.store import Store, found

_MAX_HOURS = 2**31 - 1  # Java's `int`
# The fields that say what each kind of allowance applies to; at least one of them must be set.
_SCOPES: Mapping[type[Allowance], Sequence[str]] = {
    RequirementAllowance: ("requirementId",),
    SourceAllowance: ("sourceId",),
    RequirementsAllowance: ("requirementCreatedFromId", "requirementCreatedById", "namespace", "tag"),
    SourcesAllowance: ("sourceCreatedFromId", "provider", "regions", "instanceTypes", "credentialName"),
}


class Allowances:
    """The allowances service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, ids: Ids) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = ids

    def add(self, entity: Allowance) -> Allowance:
        """Store a new allowance.

        Raises:
            InvalidRequest: it allows no hours, or applies to nothing in particular though its kind must.
        """
        _check_hours("allowedHours", entity.allowedHours)
        scope = _SCOPES.get(type(entity), ())
        if scope and not any(getattr(entity, field) for field in scope):
            raise InvalidRequest(f"{type(entity).__name__} needs a scope: set {' or '.join(scope)}")
        entity.id = self._ids.new("allow")
        entity.remainingHours = float(entity.allowedHours)
        self._store.allowances[entity.id] = AllowanceRecord(self._kernel.next_sequence(), entity)
        return entity

    def get(self, allowance_id: str) -> Allowance:
        """The allowance with this id.

        Raises:
            NotFound: there is none.
        """
        return found("Allowance", allowance_id, self._store.allowances.get(allowance_id)).entity

    def delete(self, allowance_id: str) -> None:
        """Delete an allowance.

        Raises:
            NotFound: there is none with this id.
        """
        self.get(allowance_id)
        del self._store.allowances[allowance_id]

    def boost(self, allowance_id: str, hours: int) -> Allowance:
        """Add hours to an allowance.

        Raises:
            NotFound: there is none with this id.
            InvalidRequest: the number of hours is out of range.
        """
        entity = self.get(allowance_id)
        boosted = (entity.boostHours or 0) + hours
        _check_hours("hours", hours)
        _check_hours("boostHours", boosted)
        entity.boostHours = boosted
        entity.remainingHours = float(entity.allowedHours + boosted)
        return entity

    def search(self, wanted: AllowanceSearch) -> list[AllowanceRecord]:
        """The allowances that match a search."""
        return [record for record in self._store.allowances.values() if allowance_matches(record.entity, wanted)]


def _check_hours(field: str, hours: int) -> None:
    if not 1 <= hours <= _MAX_HOURS:
        raise InvalidRequest(f"{field} must be between 1 and {_MAX_HOURS}")
