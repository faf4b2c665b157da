"""The engine of lifecycles: a record moves from status to status by declared events only. Independent of entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

StatusT = TypeVar("StatusT")
EventT = TypeVar("EventT", bound=str)


class UndeclaredStep(RuntimeError):
    """The platform attempted a step that its own tables do not declare: a defect of the local platform."""

    def __init__(self, entity: str, record_id: str, status: object, event: str) -> None:
        super().__init__(f"{entity} {record_id}: the event '{event}' is not declared in status {status}")


class Stateful(Protocol[StatusT]):
    """A record whose status a lifecycle moves; its entity shows the same status to callers."""

    id: str
    entity: Any
    status: StatusT


@dataclass(frozen=True)
class Lifecycle(Generic[StatusT, EventT]):
    """The statuses of one kind of entity.

    Attributes:
        name: the kind of entity.
        first: the statuses in which one is created, each with the condition.
        events: the meaning of each event.
        steps: the next status for each declared pair of status and event.
        unused: the platform's statuses that never occur here, each with the reason.
    """

    name: str
    first: Mapping[StatusT, str]
    events: Mapping[EventT, str]
    steps: Mapping[tuple[StatusT, EventT], StatusT]
    unused: Mapping[StatusT, str] = field(default_factory=dict)

    def move(self, record: Stateful[StatusT], event: EventT) -> StatusT:
        """Move a record to its next status; returns the previous one.

        Raises:
            UndeclaredStep: the event is not declared in the record's status.
        """
        before = record.status
        after = self.steps.get((before, event))
        if after is None:
            raise UndeclaredStep(self.name, record.id, before, event)
        record.status = record.entity.status = after
        return before

    def declares(self, status: StatusT, event: EventT) -> bool:
        """Whether the event may occur in a status."""
        return (status, event) in self.steps

    @property
    def last(self) -> list[StatusT]:
        """The statuses that no event leaves, in the order of the table."""
        left = {status for status, _ in self.steps}
        return list(dict.fromkeys(after for after in self.steps.values() if after not in left))
