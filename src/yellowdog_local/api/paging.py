"""Divides lists into slices. Each slice starts after the last record of the one before, so that changes lose no record.

Reads only `seq` of a record, its place in the order of creation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from yellowdog_client.model import Slice, SliceReference, SortDirection

from yellowdog_local.errors import InvalidRequest


class _Record(Protocol):
    @property
    def seq(self) -> int: ...


_R = TypeVar("_R", bound=_Record)
_T = TypeVar("_T")
_MAX_LENGTH = 19  # of a slice id: a letter and a 64-bit number


def cut(
    records: Sequence[_R],
    reference: SliceReference,
    default_size: int,
    view: Callable[[_R], _T],
    search: Any = None,
    *,
    newest_first: bool = False,
) -> Slice[_T]:
    """The requested slice of records, in the order of creation or of the search."""
    size = default_size if reference.size is None else reference.size
    if not SliceReference.MIN_SIZE <= size <= SliceReference.MAX_SIZE:
        raise InvalidRequest(f"size must be between {SliceReference.MIN_SIZE} and {SliceReference.MAX_SIZE}")
    sort_field = getattr(search, "sortField", None)
    descending = _descends(search, newest_first=newest_first)
    if sort_field is not None:
        return _cut_sorted(records, reference, size, view, search)
    after = _position(reference.sliceId, "a")
    if descending:
        records = list(reversed(records))
    elif after is not None:
        records = [record for record in records if record.seq > after]
    if descending and after is not None:
        records = [record for record in records if record.seq < after]
    items = [view(record) for record in records[:size]]
    more = len(records) > size
    return Slice(items=items, nextSliceId=f"a{records[size - 1].seq}" if more else None)


def ordered(
    records: Sequence[_R], view: Callable[[_R], _T], search: Any = None, *, newest_first: bool = False
) -> list[_T]:
    """All records, in the order of creation or of the search."""
    sort_field = getattr(search, "sortField", None)
    descending = _descends(search, newest_first=newest_first and sort_field is None)
    if sort_field is None:
        return [view(record) for record in (reversed(records) if descending else records)]
    entities = [(view(record), record.seq) for record in records]
    if entities and not hasattr(entities[0][0], sort_field):
        raise InvalidRequest(f"sortField '{sort_field}' is unknown")
    entities.sort(key=lambda pair: (_key(getattr(pair[0], sort_field)), pair[1]), reverse=descending)
    return [entity for entity, _ in entities]


def _cut_sorted(
    records: Sequence[_R], reference: SliceReference, size: int, view: Callable[[_R], _T], search: Any
) -> Slice[_T]:
    start = _position(reference.sliceId, "n") or 0
    entities = ordered(records, view, search)
    more = len(entities) > start + size
    return Slice(items=entities[start : start + size], nextSliceId=f"n{start + size}" if more else None)


def _descends(search: Any, *, newest_first: bool) -> bool:
    direction = getattr(search, "sortDirection", None)
    return newest_first if direction is None else direction is SortDirection.DESCENDING


def _key(value: Any) -> tuple[bool, Any]:
    # Unset values come first.
    comparable = value if isinstance(value, int | float | str | datetime) else str(value)
    return value is not None, "" if value is None else comparable


def _position(slice_id: str | None, kind: str) -> int | None:
    if slice_id is None:
        return None
    if not slice_id.startswith(kind) or not slice_id[1:].isdecimal() or len(slice_id) > _MAX_LENGTH:
        raise InvalidRequest(f"sliceId '{slice_id}' is not of this search")
    return int(slice_id[1:])
