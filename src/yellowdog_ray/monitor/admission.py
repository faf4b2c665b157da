"""Admits workers to a cluster with Ray's token authentication: tickets for their tasks, and the token for a ticket.

The token goes to the holder of a ticket only if it connects from an address that the platform lists for that node:
everybody who may read the task can copy the ticket.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path

from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.lazy import HasLazyParts, lazy
from yellowdog_ray.monitor.certificate import Certificate
from yellowdog_ray.monitor.node_addresses import NodeAddresses
from yellowdog_ray.monitor.tickets import TicketRedeemedTwice, TicketRefused, Tickets
from yellowdog_ray.monitor.token_service import Answer, TokenService
from yellowdog_ray.node import variables
from yellowdog_ray.node.authentication import MODE_TOKEN, TOKEN_SERVICE_PORT
from yellowdog_ray.redaction import hide

logger = logging.getLogger(__name__)

FOLDER = "~/.raydog/auth"
"""On the head: the token service's certificate, and the redeemed tickets."""

AFTER_BOOT = timedelta(minutes=5)
"""How long a ticket is valid beyond the time that a worker may wait for its platform node."""


class Admission(HasLazyParts):
    """The admission of one cluster's workers.

    Args:
        addresses: finds the addresses of nodes.
        token_file: the cluster's token.
        folder: the folder for certificate and redemptions.
        now: seconds since the epoch, by this machine's clock.
        checks_addresses: whether a ticket is valid at its node's addresses only.
        port: the token service's port.
    """

    def __init__(
        self,
        addresses: NodeAddresses,
        token_file: Path,
        folder: Path,
        now: Callable[[], float],
        checks_addresses: Callable[[], bool] = lambda: True,
        port: int = TOKEN_SERVICE_PORT,
    ) -> None:
        super().__init__()
        self._addresses = addresses
        self._token_file = token_file
        self._folder = folder
        self._port = port
        self._now = now
        self._checks_addresses = checks_addresses
        self._attempts: dict[str, tuple[str, str]] = {}
        self._service: TokenService | None = None
        self._port_is_used = False

    @lazy
    def certificate(self) -> Certificate:
        """The token service's certificate."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Certificate(self._folder / "token_service.pem")

    @lazy
    def tickets(self) -> Tickets:
        """The tickets."""
        return Tickets(self.certificate.secret, self._folder / "redeemed", self._now)

    def environment(self, node_id: str, boot_timeout: timedelta) -> dict[str, str]:
        """The variables of a worker's task that let it join.

        Args:
            node_id: the worker.
            boot_timeout: how long it may wait for a platform node.
        """
        seconds = (boot_timeout + AFTER_BOOT).total_seconds()
        return {
            variables.AUTH_MODE: MODE_TOKEN,
            variables.TICKET: self.tickets.issue(node_id, seconds),
            variables.TOKEN_SERVICE: str(self._port),
            variables.TOKEN_FINGERPRINT: self.certificate.fingerprint,
        }

    def tick(self, _: Snapshot) -> None:
        """Start the token service, unless it runs."""
        if self._service is not None:
            return
        context = self.certificate.context()
        try:
            self._service = TokenService(context, self.answer, self._port)
        except OSError as error:
            if not self._port_is_used:
                logger.log(logging.ERROR, "Port %d of the head is taken; no worker can join: %s", self._port, error)
            self._port_is_used = True
            return
        self._port_is_used = False
        logger.info("The token service listens on port %d", self._service.port)

    def close(self) -> None:
        """Stop the token service."""
        if self._service is not None:
            self._service.close()

    def answer(self, request: Mapping[str, str], address: str) -> Answer:
        """The answer to a worker's request: `token`, `retry` with the reason, or `refused` with the reason.

        Args:
            request: the `node`'s id, its `ticket`, and a `nonce` of the requesting process.
            address: where the request comes from.
        """
        node_id, nonce = request.get("node", ""), request.get("nonce", "")
        try:
            expiry = self.tickets.verify(node_id, request.get("ticket", ""))
            if self._checks_addresses():
                listed = self._addresses.of(node_id)
                if not listed:
                    return {"retry": "the platform does not show the address of this node yet"}
                if address not in listed:
                    return self._other_address(node_id, address, nonce, listed)
            token = self._token()
            self.tickets.redeem(node_id, expiry, nonce)
        except TicketRedeemedTwice as error:
            return self._refuse(node_id, address, str(error))
        except TicketRefused as error:
            logger.info("The token service refused %s: %s", address, error)
            return {"refused": str(error)}
        except OSError as error:
            logger.warning("The token service could not serve node %s: %s", node_id, error)
            return {"retry": "the head could not read its token, or record the redemption"}
        logger.info("Node %s has received the token, at %s", node_id, address)
        self._warn_of_attempt(node_id, nonce)
        return {"token": token}

    def _refuse(self, node_id: str, address: str, why: str) -> Answer:
        logger.warning(
            "Somebody at %s has tried to redeem the ticket of node %s, and was refused: %s. If that is not the node "
            "itself, somebody has read its task (docs/security.md)",
            address,
            node_id,
            why,
        )
        return {"refused": f"the request comes from {address}: {why}"}

    def _other_address(self, node_id: str, address: str, nonce: str, listed: Collection[str]) -> Answer:
        """Offer the listed addresses: a host that has several may connect from one of them. Nobody else can."""
        why = (
            f"the platform lists this node at {', '.join(sorted(listed))}. Where workers reach the head through "
            "address translation, set provider.worker_address_check: false"
        )
        offer = {"elsewhere": " ".join(sorted(listed))}
        if node_id in self._attempts:
            return {**self._refuse(node_id, address, why), **offer}
        self._attempts[node_id] = nonce, address
        logger.info("Node %s connects from %s: %s", node_id, address, why)
        return {"refused": f"the request comes from {address}: {why}", **offer}

    def _warn_of_attempt(self, node_id: str, nonce: str) -> None:
        """Warn of an earlier attempt by another process than the one that has the token now."""
        earlier, address = self._attempts.pop(node_id, (nonce, ""))
        if earlier != nonce:
            self._refuse(node_id, address, "it was not at an address of this node, which has the token now")

    def _token(self) -> str:
        token = self._token_file.read_text().strip()
        if not token:
            raise OSError(f"{self._token_file} is empty")
        hide(token)
        return token
