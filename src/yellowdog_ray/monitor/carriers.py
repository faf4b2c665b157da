"""Gives the kit to a few workers, which request it: they may replace this head. Runs on the head only."""

from __future__ import annotations

import base64
import hmac
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from yellowdog_ray.monitor.jobs_document import JobsPendingError
from yellowdog_ray.monitor.kit import PackedKit
from yellowdog_ray.monitor.log_limit import LogLimit
from yellowdog_ray.monitor.token_service import Answer, answer_seconds
from yellowdog_ray.node import kit
from yellowdog_ray.node.carrying import RENEW_SECONDS, RETRY_SECONDS, WAIT_SECONDS

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 3.0 * RENEW_SECONDS
"""A worker that has not renewed its kit for so long is a carrier no more."""

MAX_ATTEMPTS = 3
RECEIPT_SECONDS = 300.0
"""A worker that states no receipt of the kit after so many answers, or for so long, leaves its place to another."""


@dataclass
class _Claim:
    """A worker's place among the carriers.

    Attributes:
        since: when it began, or the worker last stated a kit that it was sent.
        until: when it ends, unless the worker renews it.
        attempts: how often a kit was sent since then.
        sent: the digest of the last kit that was sent.
        received: the digest of the kit that the worker has.
    """

    since: float
    until: float = 0.0
    attempts: int = 0
    sent: str = ""
    received: str = ""


class Carriers:
    """The workers that have the kit. Thread-safe.

    Args:
        make: gives the present kit, or None. Raises `JobsPendingError` before the head has read its jobs; until then,
            a carrier keeps the kit that it has.
        token: gives the cluster's token.
        addresses: the addresses of a live worker; none for another node.
        checks_addresses: whether a worker gets the kit at its own addresses only.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        make: Callable[[], PackedKit | None],
        token: Callable[[], str],
        addresses: Callable[[str], Collection[str]],
        checks_addresses: Callable[[], bool],
        monotonic: Callable[[], float],
    ) -> None:
        self._make = make
        self._token = token
        self._addresses = addresses
        self._checks_addresses = checks_addresses
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._refusals = LogLimit(monotonic)
        self._claims: dict[str, _Claim] = {}
        self._failed: set[str] = set()

    def answer(self, request: Mapping[str, str], address: str) -> Answer:
        """The kit with the node ids of all carriers, or the seconds to `wait`.

        Args:
            request: the `node`'s id, the cluster's `token`, and the digest of its present `kit`.
            address: where the request comes from.

        Raises:
            OSError: the head cannot read its token.
        """
        node_id = request.get("node", "")
        if not hmac.compare_digest(request.get("token", "").strip().encode(), self._token().encode()):
            return self._refuse(address)
        listed = self._addresses(node_id)
        if listed and self._checks_addresses() and address not in listed:
            return self._refuse(address)
        packed = self._current(request.get("kit", "")) if listed else None
        if packed is None:
            return {"wait": str(RETRY_SECONDS)}
        carriers = self._claim(node_id, request.get("kit", ""), packed)
        if not carriers:
            return {"wait": str(WAIT_SECONDS)}
        answer = {kit.CARRIERS: "\n".join(carriers), "digest": packed.digest}
        if request.get("kit") != packed.digest:
            answer["archive"] = base64.b64encode(packed.archive).decode()
        return answer

    def _current(self, stated: str) -> PackedKit | None:
        """The present kit; before the jobs have been read, the one that the worker states."""
        try:
            return self._make()
        except JobsPendingError:
            return PackedKit(b"", stated) if stated else None

    def _refuse(self, address: str) -> Answer:
        if self._refusals.admits(address):
            logger.warning("A request for the head's kit from %s was refused (docs/security.md)", address)
        return {"wait": str(WAIT_SECONDS)}

    def _claim(self, node_id: str, stated: str, packed: PackedKit) -> tuple[str, ...]:
        """The carriers, among them this node; none if it has no place.

        Args:
            node_id: a worker.
            stated: the digest of the kit that it has.
            packed: the kit that it is sent if it has another one.
        """
        now = self._monotonic()
        with self._lock:
            self._end_others(node_id, now)
            if node_id not in self._claims and len(self._claims) >= kit.MAX_CARRIERS:
                return ()
            claim = self._claims.setdefault(node_id, _Claim(now))
            if stated and stated in (packed.digest, claim.sent):
                self._receive(node_id, claim, stated, now)
            elif claim.attempts >= MAX_ATTEMPTS or _is_late(claim, now):
                self._fail(node_id)
                return ()
            claim.until = now + CLAIM_SECONDS
            if stated != packed.digest:
                claim.sent, claim.attempts = packed.digest, claim.attempts + 1
                claim.until += answer_seconds(2 * len(packed.archive))
            return tuple(self._claims)

    def _receive(self, node_id: str, claim: _Claim, digest: str, now: float) -> None:
        if claim.received != digest:
            logger.info("Node %s has the head's kit", node_id)
        claim.since, claim.attempts, claim.received = now, 0, digest
        self._failed.discard(node_id)

    def _end_others(self, node_id: str, now: float) -> None:
        """End the claims of other nodes that do not renew theirs, or do not get the kit."""
        self._claims = {each: claim for each, claim in self._claims.items() if now < claim.until}
        for each in [each for each, claim in self._claims.items() if each != node_id and _is_late(claim, now)]:
            self._fail(each)

    def _fail(self, node_id: str) -> None:
        """End a claim, with one warning until the node gets a kit."""
        del self._claims[node_id]
        if node_id not in self._failed:
            logger.warning(
                "Node %s does not get the head's kit, so another worker may take its place among those that replace "
                "a lost head. The output of its task has the reason",
                node_id,
            )
        self._failed.add(node_id)


def _is_late(claim: _Claim, now: float) -> bool:
    return claim.attempts > 0 and now - claim.since >= RECEIPT_SECONDS
