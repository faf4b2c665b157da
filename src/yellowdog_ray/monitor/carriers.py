"""Gives the kit to a few workers, which request it: they may replace this head. Runs on the head only."""

from __future__ import annotations

import base64
import hmac
import logging
import threading
from collections.abc import Callable, Collection, Mapping

from yellowdog_ray.monitor.kit import PackedKit
from yellowdog_ray.monitor.log_limit import LogLimit
from yellowdog_ray.monitor.token_service import Answer
from yellowdog_ray.node import kit
from yellowdog_ray.node.carrying import RENEW_SECONDS, RETRY_SECONDS, WAIT_SECONDS

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 3.0 * RENEW_SECONDS
"""A worker that has not renewed its kit for so long is a carrier no more."""


class Carriers:
    """The workers that have the kit. Thread-safe.

    Args:
        make: gives the present kit, or None.
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
        self._claims: dict[str, float] = {}

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
        packed = self._make() if listed else None
        if packed is None:
            return {"wait": str(RETRY_SECONDS)}
        carriers = self._claim(node_id)
        if not carriers:
            return {"wait": str(WAIT_SECONDS)}
        answer = {kit.CARRIERS: "\n".join(carriers), "digest": packed.digest}
        if request.get("kit") != packed.digest:
            answer["archive"] = base64.b64encode(packed.archive).decode()
            logger.info("Node %s has the head's kit, at %s", node_id, address)
        return answer

    def _refuse(self, address: str) -> Answer:
        if self._refusals.admits(address):
            logger.warning("A request for the head's kit from %s was refused (docs/security.md)", address)
        return {"wait": str(WAIT_SECONDS)}

    def _claim(self, node_id: str) -> tuple[str, ...]:
        """The carriers, among them this node; none if there are enough others."""
        now = self._monotonic()
        with self._lock:
            self._claims = {each: at for each, at in self._claims.items() if now - at < CLAIM_SECONDS}
            if node_id not in self._claims and len(self._claims) >= kit.MAX_CARRIERS:
                return ()
            self._claims[node_id] = now
            return tuple(self._claims)
