"""Publishes the head's state on the platform, where commands read it without SSH. Runs on the head only.

Its calls run in a thread of their own, one publication at a time: an outage delays it and nothing else.
cluster/published.py describes a publication.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta

from yellowdog_ray import names
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.journal import Act, Journal
from yellowdog_ray.cluster.published import MAX_BYTES, HeadState, Notice, encode, idle_end
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.errors import PlatformError, Refused
from yellowdog_ray.monitor.outage import UnexpectedErrors
from yellowdog_ray.monitor.publishing_pace import FIRST_SECONDS, LONGEST_SECONDS, Pace
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.idempotent import AMBIGUOUS

logger = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
"""Interval of checks whether the state has changed: one request to Ray's control store, on this machine."""

RESUMED = timedelta(hours=2)
"""How far back earlier processes' publications set the pace: longer than its intervals take to the longest."""

LEAST_BYTES = 2_048
"""The smallest document that is tried if the platform refuses larger ones."""

Compose = Callable[[str, list[Notice]], HeadState]
"""Composes the state from the incarnation's token and the notices."""


class Publisher:
    """Publishes one cluster's state after changes.

    Args:
        platform: the platform.
        cluster: the cluster.
        journal: the decisions.
        compose: composes the state; called in the publisher's thread.
        monotonic: seconds that never go back.
        is_enabled: whether to publish.
    """

    def __init__(
        self,
        platform: Platform,
        cluster: Cluster,
        journal: Journal,
        compose: Compose,
        monotonic: Callable[[], float],
        is_enabled: Callable[[], bool],
    ) -> None:
        self._platform = platform
        self._cluster = cluster
        self._journal = journal
        self._compose = compose
        self._monotonic = monotonic
        self._is_enabled = is_enabled
        self._lock = threading.Lock()  # guards the notices
        self._notices: Mapping[str, Notice] = {}
        self._checked_at = float("-inf")
        self._running: Future[None] | None = None
        # Below: used in the publisher's thread only.
        self._pace = Pace()
        self._seen: object = None
        self._shown: list[Notice] = []
        self._hurried: set[tuple[str, str]] = set()
        self._calm_until = float("-inf")
        self._retry_at = float("-inf")
        self._most = MAX_BYTES
        self._uncancelled: list[str] | None = None  # None: an earlier process may have left some
        self._is_resumed = False
        self._doubtful: str | None = None
        self._failed_with = ""
        self._unexpected = UnexpectedErrors()

    def announce(self, kind: str, text: str | None, at: datetime | None = None) -> None:
        """Publish an announcement until it is withdrawn, a minute after the last publication at the latest.

        Args:
            kind: what it is about, such as `idle`; a later one of the same kind replaces it.
            text: the announcement; None withdraws it.
            at: the time of what it announces.
        """
        with self._lock:
            before = self._notices.get(kind)
            others = {name: notice for name, notice in self._notices.items() if name != kind}
            self._notices = others if text is None else {**others, kind: Notice(kind=kind, text=text, at=at)}
            is_new = before != self._notices.get(kind)
        if is_new:
            self._journal.note(Act.ANNOUNCED, text if text is not None else f"withdrawn: {kind}")

    def tick(self, _snapshot: Snapshot) -> None:
        """Start a check if one is due and none runs. Makes no call itself."""
        now = self._monotonic()
        if now - self._checked_at < CHECK_SECONDS:
            return
        if not self._is_enabled() and self._uncancelled == [] and self._doubtful is None:
            return
        if self._running is not None and not self._running.done():
            return
        self._checked_at = now
        thread = ThreadPoolExecutor(1, thread_name_prefix="raydog-publish")
        self._running = thread.submit(self._run)
        thread.shutdown(wait=False)  # it ends with the check

    def close(self) -> None:
        """Wait for the check that runs."""
        if self._running is not None:
            self._running.result()

    def _run(self) -> None:
        try:
            self._publish_if_due()
        except PlatformError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - it would be lost with its future
            self._unexpected.report(error)

    def _publish_if_due(self) -> None:
        groups = self._cluster.groups
        if not groups or self._cluster.ending:
            return  # no reading has shown the cluster yet, or `ray down` may have ended its publications already
        head_pool = groups[0].worker_tag
        notices, now = list(self._notices.values()), self._monotonic()
        if not self._prepare(names.state_tag(head_pool), now) or not self._is_enabled():
            return
        state = self._compose(names.token_of(head_pool), notices)
        seen = (self._journal.size, _essence(state))
        if seen != self._seen:
            self._seen = seen
            self._pace.changed(now)
        urgent = notices != self._shown or (now >= self._calm_until and not _failures(state) <= self._hurried)
        if self._pace.is_due(now, urgent=urgent, lasting=not _is_calm(state)):
            self._publish(head_pool, state)

    def _prepare(self, tag: str, now: float) -> bool:
        """Cancel what is left, also if publishing is switched off, and continue the pace. False: a retry is not due."""
        is_left = self._uncancelled is None or bool(self._uncancelled)
        if now < self._retry_at:
            return self._is_resumed
        if is_left or (self._doubtful is not None and not self._is_enabled()):
            self._end_earlier(tag)
        if not self._is_resumed and self._is_enabled():
            moment = self._platform.clock.now()
            entries = self._platform.documents(tag, since=moment - RESUMED)
            self._pace.resume(now, [_age(entry.created, moment) for entry in entries])
            # A process that ends again and again would otherwise hurry with each first back-off.
            self._calm_until = now + LONGEST_SECONDS if entries else now
            self._is_resumed = True
        return True

    def _publish(self, head_pool: str, state: HeadState) -> None:
        tag = names.state_tag(head_pool)
        self._end_earlier(tag)
        mark, decisions, dropped = self._journal.pending()
        name = names.new_state_name(names.token_of(head_pool), idle_end(state))
        try:
            created = self._platform.create_document(name, tag, encode(state, decisions, dropped, self._most))
        except AMBIGUOUS:
            self._doubtful = name
            raise
        except Refused:
            self._most = max(LEAST_BYTES, self._most // 2)  # the platform may limit its size
            raise
        self._journal.published(mark)
        self._pace.published(self._monotonic())
        self._shown = state.notices
        self._hurried |= _failures(state)
        self._failed_with = ""
        self._uncancelled = [*(self._uncancelled or ()), created]
        self._end_earlier(tag)

    def _end_earlier(self, tag: str) -> None:
        """Cancel the publications that are not cancelled yet; one that fails is retried before the next one."""
        if self._uncancelled is None:
            self._uncancelled = [entry.id for entry in self._platform.documents(tag, finished=False)]
        if self._doubtful is not None:
            found = self._platform.named_work_requirement(self._doubtful)
            self._doubtful = None
            self._uncancelled += [found.id] if found is not None and not found.finished else []
        while self._uncancelled:
            self._platform.cancel_work_requirement(self._uncancelled[-1])
            self._uncancelled.pop()

    def _failed(self, error: PlatformError) -> None:
        self._retry_at = self._monotonic() + FIRST_SECONDS
        self._pace.failed(self._monotonic())
        if error.code != self._failed_with:
            self._failed_with = error.code
            logger.warning("the head's state could not be published and will be retried: %s", error)


def _essence(state: HeadState) -> object:
    """The parts whose change is published: back-offs, limits, idleness, notices, and waiting shapes without counts."""
    return (
        [(each.node_type, each.code, each.failures) for each in state.back_offs],
        [
            (name, kind.min_workers, kind.max_workers, kind.alive, bool(kind.idle))
            for name, kind in state.node_types.items()
        ],
        (state.max_workers, state.idle_timeout_minutes),
        state.notices,
        None if state.demand is None else sorted(_form(shape.resources, shape.labels) for shape in state.demand),
        [(_form(shape.resources, shape.labels), shape.count) for shape in state.requested],
    )


def _age(created: datetime | None, now: datetime) -> float:
    """The seconds since a publication; one of unknown time counts as new, so that it delays the next ones."""
    return max(0.0, (now - created).total_seconds()) if created else 0.0


def _failures(state: HeadState) -> set[tuple[str, str]]:
    """The node types that back off, each with the reason."""
    return {(each.node_type, each.code) for each in state.back_offs}


def _is_calm(state: HeadState) -> bool:
    """Whether nothing waits, backs off, is announced or runs: such a state explains nothing, and is not repeated."""
    has_workers = any(kind.alive != 0 and kind.max_workers != 0 for kind in state.node_types.values())
    return state.demand == [] and not (state.back_offs or state.notices or state.requested or has_workers)


def _form(resources: Mapping[str, float], labels: Mapping[str, str]) -> tuple[object, ...]:
    return (*sorted(resources.items()), *sorted(labels.items()))
