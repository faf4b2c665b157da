"""Distorts the platform's answers: lists that skip, repeat or never end; addresses that come late; early ends.

Knows the JSON of the API and nothing else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Page = dict[str, Any]


def _skip(page: Page, chance: random.Random) -> None:
    items = page["items"]
    if items:
        del items[chance.randrange(len(items))]


def _repeat(page: Page, chance: random.Random) -> None:
    items = page["items"]
    if items:
        items.insert(chance.randrange(len(items) + 1), chance.choice(items))


def _skip_and_repeat(page: Page, chance: random.Random) -> None:
    """As paging by offset does when an item moves from one page to the other."""
    length = len(page["items"])
    _skip(page, chance)
    while 0 < len(page["items"]) < length:
        _repeat(page, chance)


def _reorder(page: Page, chance: random.Random) -> None:
    chance.shuffle(page["items"])


def _never_end(page: Page, _: random.Random) -> None:
    page["nextSliceId"] = "a1"


_LIST_DISTORTIONS: dict[str, Callable[[Page, random.Random], None]] = {
    "a list skips": _skip,
    "a list repeats": _repeat,
    "a list skips and repeats": _skip_and_repeat,
    "a list reorders": _reorder,
    "a list never ends": _never_end,
}

LIST_KINDS = tuple(_LIST_DISTORTIONS)
"""Kinds of trouble that change single pages of lists."""


SHOWS_NOTHING = "a list shows nothing"
"""The kind of trouble in which a search lags so much that it finds nothing."""

MOVES = "a list moves between its pages"
"""The kind of trouble in which pages follow each other by offset.

An item that ends between two pages moves another one out of the next page. An added item repeats the last item of the
page before."""


class Distortions:
    """Distorts the pages of lists. Remembers the last item of each page, for the page after it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._last: dict[str, Any] = {}

    def distorted(self, kind: str, url: str, body: bytes) -> bytes:
        """The body of an answer, distorted. Answers that are no page of a list stay as they are."""
        page = json.loads(body) if body else None
        if not isinstance(page, dict) or not isinstance(page.get("items"), list):
            return body
        if kind == SHOWS_NOTHING:
            page = {"items": [], "nextSliceId": None}
        elif kind == MOVES:
            self._move(page, url)
        else:
            _LIST_DISTORTIONS[kind](page, self._chance)
        return json.dumps(page).encode()

    def _move(self, page: Page, url: str) -> None:
        query = dict(parse_qsl(urlsplit(url).query))
        is_first = query.pop("sliceId", None) is None
        key = f"{urlsplit(url).path}?{sorted(query.items())}"
        items = page["items"]
        before = None if is_first else self._last.get(key)
        if items:
            self._last[key] = items[-1]
        if before is not None and self._chance.random() < 0.5:
            items.insert(0, before)
        elif not is_first:
            del items[:1]


@dataclass(frozen=True)
class Manners:
    """How the platform behaves throughout a simulation, in ways that its documentation leaves open.

    Attributes:
        address_delay: how long after its registration a platform node is shown without addresses (seconds).
        ends_early: whether a compute requirement counts as terminated while its instances still terminate.
    """

    address_delay: float = 0.0
    ends_early: bool = False

    def shape(self, call: str, body: bytes, now: datetime) -> bytes:
        """The body of an answer to a call (`VERB path`)."""
        if self.address_delay and call.startswith("GET /workerPools"):
            return _without_early_addresses(body, now - timedelta(seconds=self.address_delay))
        if self.ends_early and call.startswith("GET /compute/requirements/"):
            return body.replace(b'"status":"TERMINATING"', b'"status":"TERMINATED"')
        return body


def _without_early_addresses(body: bytes, registered_before: datetime) -> bytes:
    value = json.loads(body) if body else None
    nodes = value.get("items", [value]) if isinstance(value, dict) else []
    for node in nodes:
        details = node.get("details")
        if isinstance(details, dict) and _time(node.get("registeredTime")) > registered_before:
            details.pop("privateIpAddress", None)
            details.pop("publicIpAddress", None)
    return json.dumps(value).encode() if nodes else body


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.min.replace(tzinfo=timezone.utc)
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
