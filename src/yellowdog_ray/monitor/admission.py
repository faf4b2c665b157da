"""Admits workers to a cluster with Ray's token authentication: tickets for their tasks, and the token for a ticket.

The token goes to the holder of a ticket only if it connects from an address that the platform lists for that node.
Everybody who may read the task can copy the ticket.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import Snapshot
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.lazy import HasLazyParts, lazy
from yellowdog_ray.monitor.carriers import Carriers
from yellowdog_ray.monitor.certificate import Certificate
from yellowdog_ray.monitor.kit import PackedKit
from yellowdog_ray.monitor.log_limit import LogLimit
from yellowdog_ray.monitor.node_addresses import NodeAddresses
from yellowdog_ray.monitor.tickets import TicketRedeemedTwice, TicketRefused, Tickets
from yellowdog_ray.monitor.token_service import Answer, TokenService
from yellowdog_ray.node import variables
from yellowdog_ray.node.authentication import HEAD_AUTH_FILE, MODE_TOKEN, TOKEN_SERVICE_PORT
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.private_file import make_private_folder, write_private
from yellowdog_ray.redaction import hide

logger = logging.getLogger(__name__)

FOLDER = "~/.raydog/auth"
"""On the head: the token service's certificate, and the redeemed tickets."""

AFTER_BOOT = timedelta(minutes=5)
"""How long a ticket is valid beyond the time that a worker may wait for its platform node."""


_CERTIFICATE, _REDEEMED, _OWNER = "token_service.pem", "redeemed", "head"


def make_admission(
    cluster: Cluster,
    platform: Platform,
    settings: LiveSettings,
    monotonic: Callable[[], float],
    make_kit: Callable[[], PackedKit | None] | None = None,
) -> Admission:
    """The admission of a cluster's workers, with the token that this head's environment names. No call."""
    return Admission(
        NodeAddresses(cluster, platform, monotonic),
        Path(os.environ.get(variables.AUTH_TOKEN_PATH) or f"~/{HEAD_AUTH_FILE}").expanduser(),
        Path(FOLDER).expanduser(),
        os.environ.get(variables.CLOUD_INSTANCE_ID, ""),
        lambda: platform.clock.now().timestamp(),
        lambda: settings.current.worker_address_check,
        make_kit=make_kit,
        monotonic=monotonic,
    )


class Admission(HasLazyParts):
    """The admission of one cluster's workers.

    Args:
        addresses: finds the addresses of nodes.
        token_file: the cluster's token.
        folder: the directory for certificate and redemptions.
        head_id: the head's node id; files of another head are replaced.
        now: seconds since the epoch, by this machine's clock.
        checks_addresses: whether a ticket is valid at its node's addresses only.
        port: the token service's port.
        make_kit: gives the kit for the workers that may replace this head; None if none may.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        addresses: NodeAddresses,
        token_file: Path,
        folder: Path,
        head_id: str,
        now: Callable[[], float],
        checks_addresses: Callable[[], bool] = lambda: True,
        port: int = TOKEN_SERVICE_PORT,
        make_kit: Callable[[], PackedKit | None] | None = None,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__()
        self._addresses = addresses
        self._token_file = token_file
        self._folder = folder
        self._head_id = head_id
        self._port = port
        self._now = now
        self._checks_addresses = checks_addresses
        self._carriers: Carriers | None = None
        if make_kit is not None:
            self._carriers = Carriers(make_kit, self._token, addresses.of, checks_addresses, monotonic)
        self._bad_tickets, self._good_tickets = LogLimit(now), LogLimit(now)
        self._attempts: dict[str, tuple[str, str]] = {}
        self._service: TokenService | None = None
        self._port_is_used = False

    @lazy
    def certificate(self) -> Certificate:
        """The token service's certificate."""
        make_private_folder(self._folder)
        self._remove_anothers()
        return Certificate(self._folder / _CERTIFICATE)

    def _remove_anothers(self) -> None:
        """Remove the files of another head, which an image or a reused machine has kept."""
        owner = self._folder / _OWNER
        if owner.is_file() and owner.read_text(errors="replace") == self._head_id:
            return
        for name in (_REDEEMED, _CERTIFICATE):
            (self._folder / name).unlink(missing_ok=True)
        write_private(owner, self._head_id.encode())

    @lazy
    def tickets(self) -> Tickets:
        """The tickets."""
        return Tickets(self.certificate.secret, self._folder / _REDEEMED, self._now)

    def environment(self, node_id: str, boot_timeout: timedelta) -> dict[str, str]:
        """The variables of a worker's task that let it join.

        Args:
            node_id: the worker.
            boot_timeout: how long it may wait for a platform node.

        Raises:
            RayDogError: the head's disk fails or is full.
        """
        seconds = (boot_timeout + AFTER_BOOT).total_seconds()
        with _on_disk():
            return {
                variables.AUTH_MODE: MODE_TOKEN,
                variables.TICKET: self.tickets.issue(node_id, seconds),
                variables.TOKEN_SERVICE: str(self._port),
                variables.TOKEN_FINGERPRINT: self.certificate.fingerprint,
            }

    def tick(self, _: Snapshot) -> None:
        """Start the token service, unless it runs.

        Raises:
            RayDogError: the head's disk fails or is full.
        """
        if self._service is not None:
            return
        with _on_disk():
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
        if self._carriers is not None and "kit" in request:
            return self._carriers.answer(request, address)
        node_id, nonce = request.get("node", ""), request.get("nonce", "")
        try:
            expiry = self.tickets.verify(node_id, request.get("ticket", ""))
            if (refusal := self._check_address(node_id, address, nonce)) is not None:
                return refusal
            token = self._token()
            self.tickets.redeem(node_id, expiry, nonce)
        except TicketRedeemedTwice as error:
            return self._refuse(node_id, address, str(error))
        except TicketRefused as error:
            if self._bad_tickets.admits(address):
                logger.info("The token service refused %s: %s", address, error)
            return {"refused": str(error)}
        except OSError as error:
            if self._good_tickets.admits(node_id, "failed"):
                logger.warning("The token service could not serve node %s: %s", node_id, error)
            return {"retry": "the head could not read its token, or record the redemption"}
        logger.info("Node %s has received the token, at %s", node_id, address)
        self._warn_of_attempt(node_id, nonce)
        return {"token": token}

    def _check_address(self, node_id: str, address: str, nonce: str) -> Answer | None:
        """None if the node connects from one of its addresses; else the answer: a refusal, or `retry` while unknown."""
        if not self._checks_addresses():
            return None
        listed = self._addresses.of(node_id)
        if not listed:
            return {"retry": "the platform does not show the address of this node yet"}
        return None if address in listed else self._refuse_address(node_id, address, nonce, listed)

    def _refuse(self, node_id: str, address: str, why: str) -> Answer:
        if self._good_tickets.admits(node_id, "refused", address):
            logger.warning(
                "Somebody at %s has tried to redeem the ticket of node %s, and was refused: %s. If that is not the "
                "node itself, somebody has read its task (docs/security.md)",
                address,
                node_id,
                why,
            )
        return {"refused": f"the request comes from {address}: {why}"}

    def _refuse_address(self, node_id: str, address: str, nonce: str, listed: Collection[str]) -> Answer:
        """Refuse, and offer the listed addresses: only the node's host can connect from one of them."""
        why = (
            f"the platform lists this node at {', '.join(sorted(listed))}. Where workers reach the head through "
            "address translation, set provider.worker_address_check: false"
        )
        offer = {"elsewhere": " ".join(sorted(listed))}
        if node_id in self._attempts or self.tickets.is_redeemed_by_other(node_id, nonce):
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
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise OSError(f"{self._token_file} is not text") from error
        if len(token.split()) != 1 or not token.isascii():
            raise OSError(f"{self._token_file} does not contain one line with a token")
        hide(token)
        return token


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    """Raise a failure of the head's disk as an error for the user: it is no mistake of RayDog."""
    try:
        yield
    except OSError as error:
        raise RayDogError(
            f"the head cannot use the files of its token service ({error}), so that no worker can join. Free space on "
            "the head's disk, or create the cluster again"
        ) from error
