"""Allowances: kept and listed. They limit nothing here, so their hours are never used up."""

from __future__ import annotations

from yellowdog_client.model import Allowance, AllowanceSearch

from yellowdog_local.errors import InvalidRequest
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import AllowanceRecord
from yellowdog_local.state.search import allowance_matches
from yellowdog_local.state.store import Store, found


class Allowances:
    """The allowances service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, ids: Ids) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = ids

    def add(self, entity: Allowance) -> Allowance:
        """Keep a new allowance."""
        if entity.allowedHours < 0:
            raise InvalidRequest("allowedHours must not be negative")
        entity.id = self._ids.new("allow")
        entity.remainingHours = float(entity.allowedHours)
        self._store.allowances[entity.id] = AllowanceRecord(self._kernel.next_sequence(), entity)
        return entity

    def get(self, allowance_id: str) -> Allowance:
        """The allowance of that id."""
        return found("Allowance", allowance_id, self._store.allowances.get(allowance_id)).entity

    def delete(self, allowance_id: str) -> None:
        """Forget an allowance."""
        self.get(allowance_id)
        del self._store.allowances[allowance_id]

    def boost(self, allowance_id: str, hours: int) -> Allowance:
        """Add hours to an allowance."""
        entity = self.get(allowance_id)
        entity.boostHours = (entity.boostHours or 0) + hours
        entity.remainingHours = float(entity.allowedHours + entity.boostHours)
        return entity

    def search(self, wanted: AllowanceSearch) -> list[AllowanceRecord]:
        """The allowances that a search asks for."""
        return [record for record in self._store.allowances.values() if allowance_matches(record.entity, wanted)]
