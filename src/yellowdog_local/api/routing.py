"""The types of a route: a method, a path, and a function from a call to an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from starlette.datastructures import QueryParams
from yellowdog_client.model import Slice, SliceReference

from yellowdog_local.api.encoding import flag, flattened, load, load_search, refuse_unknown
from yellowdog_local.api.paging import cut, ordered
from yellowdog_local.errors import InvalidRequest
from yellowdog_local.platform import LocalPlatform

_T = TypeVar("_T")
_MAX_DIGITS = 18  # of a 64-bit number


class Sequenced(Protocol):
    """A record with its place in the order of creation."""

    @property
    def seq(self) -> int:
        """Its sequence number."""


_R = TypeVar("_R", bound=Sequenced)


class PlainText(str):
    """An answer of plain text instead of JSON."""

    __slots__ = ()


@dataclass(frozen=True)
class Call:
    """One call of a route."""

    platform: LocalPlatform
    path: dict[str, str]
    query: QueryParams
    body: Any
    method: str = "GET"
    route: str = ""

    @property
    def caller_id(self) -> str | None:
        """The id of the application whose key the caller has shown."""
        return self.platform.application.id

    def load(self, model: type[_T]) -> _T:
        """The body as a model."""
        return load(self.body, model)

    def search(self, model: type[_T]) -> _T:
        """The query parameters as a search object."""
        query = flattened(self.query, model)
        refuse_unknown(query, model)
        return load_search(query, model)

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return flag(self.query, name)

    def number(self, name: str) -> int:
        """A query parameter as a whole number."""
        text = self.query.get(name, "")
        if not text.isdecimal() or len(text) > _MAX_DIGITS:
            raise InvalidRequest(f"{name} must be a whole number, not '{text}'")
        return int(text)

    def member(self, name: str, kind: Any) -> Any:
        """A path segment as a member of an enumeration."""
        text = self.path[name]
        if text not in kind.__members__:
            raise InvalidRequest(f"'{text}' is not one of {', '.join(kind.__members__)}")
        return kind[text]

    def slice(self, records: Sequence[_R], view: Callable[[_R], _T], search: Any = None) -> Slice[_T]:
        """The slice of records for the query."""
        reference = load_search(flattened(self.query, SliceReference), SliceReference)
        records = self.platform.lists.visible(self.method, self.route, records)
        settings = self.platform.settings
        return cut(
            records, reference, settings.default_slice_size, view, search, newest_first=settings.lists_newest_first
        )

    def slice_or_list(
        self, records: Sequence[_R], view: Callable[[_R], _T], search: Any = None
    ) -> Slice[_T] | list[_T]:
        """A slice with `sliced=true`, otherwise all records in a flat list."""
        if self.flag("sliced"):
            return self.slice(records, view, search)
        newest_first = self.platform.settings.lists_newest_first
        visible = self.platform.lists.visible(self.method, self.route, records)
        return ordered(visible, view, search, newest_first=newest_first)


Handler = Callable[[Call], object]


@dataclass(frozen=True)
class Endpoint:
    """A route. The handler's result is sent as JSON with status 200, and None without a body."""

    method: str
    path: str
    handler: Handler
