"""The foundation of all platform calls: SDK client, retries, translated failures, pages, malformed responses."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, ParamSpec, Protocol, TypeVar

from yellowdog_client import PlatformClient
from yellowdog_client.common import SearchClient
from yellowdog_client.model import Slice, SliceReference

from yellowdog_ray.errors import MalformedResponse
from yellowdog_ray.platform.errors import malformed, sdk_errors
from yellowdog_ray.platform.responses import Responses
from yellowdog_ray.platform.retry import RetryPolicy, retried
from yellowdog_ray.platform.salvage import salvage
from yellowdog_ray.platform.shapes import entity
from yellowdog_ray.seen_errors import DistinctErrors

logger = logging.getLogger(__name__)

PAGE_SIZE = 1_000
"""Entities per page: the platform's maximum (SDK `model/slice_reference.py`)."""

MAX_PAGES = 1_000
"""Pages per list: a hundred times the platform's largest pool. A longer list is malformed."""

Namespaces = Sequence[str] | None
"""The namespaces of a search; None for all that the key can read."""


class InNamespace(Protocol):
    """An entry of a list."""

    @property
    def namespace(self) -> str:
        """Its namespace."""


P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E", bound=InNamespace)


class Calls:
    """Base of the calls of every service. Thread-safe.

    Args:
        client: the SDK's client.
        responses: receives the responses of the client's session.
        namespace: where everything is created.
        retry_policy: how long failing calls are retried.
    """

    def __init__(self, client: PlatformClient, responses: Responses, namespace: str, retry_policy: RetryPolicy) -> None:
        self.namespace = namespace
        self.retry_policy = retry_policy
        self._client = client
        self._responses = responses
        self._errors = DistinctErrors()

    def report(self, error: MalformedResponse) -> None:
        """Log a malformed response with its traceback and an extract of it, once per distinct error."""
        if self._errors.is_new(error.__cause__ or error):
            logger.warning("%s. The response was: %s", error, self._responses.quote(), exc_info=error)

    def finish(self) -> None:
        """Drop this thread's response: its conversion is over."""
        self._responses.clear()

    def _sdk(self, subject: str) -> AbstractContextManager[None]:
        """Run one SDK call; `subject` names the requested thing in error texts."""
        return sdk_errors(subject, self._responses)

    def _listed(
        self,
        subject: str,
        namespaces: Namespaces,
        search: Callable[[str | None], SearchClient[T]],
        kind: type[T],
        entry: Callable[[T], E],
    ) -> list[E]:
        """The entries of these namespaces: one search per namespace, or one for all. The platform may match more.

        An entry with a value that the SDK lacks, which may be a stranger's, does not hide the others.
        """
        found: list[E] = []
        for namespace in (None,) if namespaces is None else namespaces:
            with self._sdk(subject):
                results = search(namespace)
            found += map(entry, self._all_items(subject, results, kind, salvaged=True))
        return [one for one in found if namespaces is None or one.namespace in namespaces]

    def _items(self, subject: str, search: SearchClient[T], kind: type[T], most: int | None = None) -> Iterator[T]:
        """The results of a search, at most `most` of them: one call per page.

        Raises:
            PlatformError: a page could not be read; the items before it are no complete list.
        """
        return islice(self._all_items(subject, search, kind), most)

    def _all_items(
        self, subject: str, search: SearchClient[T], kind: type[T], *, salvaged: bool = False
    ) -> Iterator[T]:
        slice_id: str | None = None
        seen: set[str] = set()
        while True:
            page = self._page(subject, search, slice_id, kind if salvaged else None)
            if page.items is None:
                # The SDK converts other JSON to a page without items. Read as an empty list, it would end every node.
                raise malformed(f"{subject}: a page without items")
            for item in page.items:
                yield entity(item, kind, subject)
            slice_id = page.nextSliceId or None  # an empty one names no page
            if slice_id is None:
                return
            if slice_id in seen or len(seen) >= MAX_PAGES:
                raise malformed(f"{subject}: a list that does not end, at page {len(seen) + 1}")
            seen.add(slice_id)

    def _page(self, subject: str, search: SearchClient[T], slice_id: str | None, salvaged: type[T] | None) -> Slice[T]:
        """A page of a list. Of items of the salvaged kind that the SDK cannot convert, it has what identifies them."""
        try:
            with self._sdk(subject):
                return search.slice(SliceReference(sliceId=slice_id, size=PAGE_SIZE))
        except MalformedResponse as error:
            page = salvage(self._responses.json(), salvaged) if salvaged else None
            if page is None:
                raise
            self.report(error)
            return page


def platform_call(method: Callable[P, T]) -> Callable[P, T]:
    """Run a method of `Calls` under its retry policy, and report its malformed responses."""

    @functools.wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        owner: Any = arguments[0]
        try:
            return method(*arguments, **options)
        except MalformedResponse as error:
            owner.report(error)
            raise
        finally:
            owner.finish()

    return retried(call)
