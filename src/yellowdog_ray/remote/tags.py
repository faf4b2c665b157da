"""The tag store: Ray's mutable tags (status, runtime hash, file-mounts hash), in Valkey on the head.

It holds nothing else, and losing it loses no node. Must not import `platform`.
"""

from __future__ import annotations

import importlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, TypeVar

from yellowdog_ray.budget import TooLarge
from yellowdog_ray.errors import SshError
from yellowdog_ray.remote.ssh import Tunnel
from yellowdog_ray.remote.tag_values import ForeignValue, Tags, decode, encode

if TYPE_CHECKING:
    import redis

    from yellowdog_ray.remote.valkey import Valkey

logger = logging.getLogger(__name__)

T = TypeVar("T")

_VERSION = ":version"
"""The field whose value changes at every `set`. No node id begins with a colon."""

SPARE_NODES = 1_000
"""Maximum number of ended nodes with tags in the store."""

MAX_BYTES = 8 * 1024 * 1024
"""Bytes that one call reads from the store: four times the tags of 10,000 nodes."""

_TIMEOUT_SECONDS = 3.0
"""For a whole call."""

_RETRY_SECONDS = 20.0


class TagStore:
    """Mutable tags by node id. Tags that this process set stay readable while the store is unreachable.

    Args:
        cluster: the cluster's name; part of the key.
        connect: returns the local port of the store, and opens a tunnel if necessary. It may raise `SshError`.
        restores: whether to write the tags again into a store that restarted empty.
        timeout: seconds that one call to the store may take.
    """

    def __init__(
        self,
        cluster: str,
        connect: Callable[[], int],
        *,
        restores: bool = False,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._key = f"raydog:{cluster}:tags"
        self._connect = connect
        self._restores = restores
        self._timeout = timeout
        self._own: dict[str, Tags] = {}
        self._stored: dict[str, Tags] = {}
        self._version: bytes | None = None
        self._client: Valkey | None = None
        self._warned = False
        self.refusal: str | None = None
        """The error with which the store answered the last call; None if it took the call, or did not answer."""

    def get(self, node_id: str) -> Tags:
        """A node's mutable tags as of the last `refresh`, and those set since."""
        return {**self._stored.get(node_id, {}), **self._own.get(node_id, {})}

    def refresh(self) -> bool:
        """Read every node's mutable tags, if any changed since the last read. Returns whether the store answered."""
        fields = self._call(self._read)
        if fields is None:
            return False
        version = fields.pop(_VERSION.encode(), None)
        if version is not None and version == self._version and not fields:
            return True
        if self._restores and self._stored and not fields:
            logger.warning("the tag store restarted empty; its tags are restored")
            self._write(self._stored)
            return True
        self._stored = self._decoded(fields)
        self._version = version
        return True

    def _decoded(self, fields: Mapping[bytes, bytes]) -> dict[str, Tags]:
        """The tags by node id. A node whose value is not RayDog's keeps the tags that were read before."""
        decoded: dict[str, Tags] = {}
        for field, value in fields.items():
            try:
                node_id, tags = decode(field, value)
            except ForeignValue as error:
                self._warn(f"field {field[:60]!r} of {self._key}: {error}")
                node_id = field.decode(errors="replace")
                tags = self._stored.get(node_id, {})
            if tags:
                decoded[node_id] = tags
        return decoded

    def _warn(self, problem: str) -> None:
        """Report content that is not RayDog's, once: whoever writes it may do so at every tick."""
        if not self._warned:
            self._warned = True
            logger.warning("ignored what another program wrote into the tag store on the head: %s", problem)

    def _read(self, client: redis.Redis) -> dict[bytes, bytes]:
        """All fields; the version alone if it has not changed."""
        version = client.hget(self._key, _VERSION)
        if version is not None and version == self._version:
            return {_VERSION.encode(): version}
        fields = dict(client.hgetall(self._key))
        if not all(isinstance(part, bytes) for pair in fields.items() for part in pair):
            raise TypeError("an answer that is not Valkey's")
        return fields

    def _write(self, tags: Mapping[str, Tags]) -> bool:
        fields = {node_id: encode(of_node) for node_id, of_node in tags.items()}
        fields[_VERSION] = uuid.uuid4().hex
        return self._call(lambda client: client.hset(self._key, mapping=fields)) is not None

    def cache(self, node_id: str, tags: Mapping[str, str]) -> None:
        """Keep tags of a node whose store does not run yet."""
        self._own[node_id] = {**self._own.get(node_id, {}), **tags}

    def set(self, node_id: str, tags: Mapping[str, str]) -> bool:
        """Merge tags into a node's. Returns whether the store took them; if not, the next `set` writes them too."""
        self.cache(node_id, tags)
        return self._write({node_id: self.get(node_id)})

    def keep(self, node_ids: Set[str]) -> None:
        """Delete the tags of all other nodes once they exceed `SPARE_NODES`: a cluster may have had any number."""
        if len(self._stored) + len(self._own) <= SPARE_NODES:
            return
        gone = (self._stored.keys() | self._own.keys()) - node_ids
        if len(gone) <= SPARE_NODES:
            return
        for tags in (self._stored, self._own):
            for node_id in gone & tags.keys():
                del tags[node_id]
        self._call(lambda client: client.hdel(self._key, *gone))

    def prepare(self) -> None:
        """Import the client ahead of its use: it takes 0.4 s, which most `ray` commands do not need."""
        importlib.import_module("yellowdog_ray.remote.valkey")

    def close(self) -> None:
        """Close the connection and the tunnel to the store, if open."""
        self._drop_client()
        if isinstance(self._connect, TunnelledPort):
            self._connect.close()

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _call(self, command: Callable[[redis.Redis], T]) -> T | None:
        """Send commands to the store; None when it does not answer."""
        from yellowdog_ray.remote.valkey import StoreError, StoreRefusal

        self.refusal = None
        try:
            return self._client_of(self._connect()).call(command)
        except TooLarge as error:
            self._warn(f"{self._key}: {error}; delete this key")
        except StoreRefusal as error:
            self.refusal = str(error)
            logger.debug("the tag store refuses a call on %s: %s", self._key, error)
        except (StoreError, SshError) as error:
            logger.debug("the tag store does not answer: %s", error)
        return None

    def _client_of(self, port: int) -> Valkey:
        """The client of a port, reused: a new connection each time would take half of a quiet tick."""
        from yellowdog_ray.remote.valkey import Valkey

        if self._client is None or self._client.port != port:
            self._drop_client()
            self._client = Valkey(port, self._timeout, MAX_BYTES)
        return self._client


class TunnelledPort:
    """The local port of a tunnel to the head's tag store. It is opened at first need, and again after a failure.

    After a failed attempt the head is not contacted for a while. A command that lists often, such as `ray down`, then
    does not wait each time.
    """

    def __init__(self, open_tunnel: Callable[[], Tunnel], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open = open_tunnel
        self._monotonic = monotonic
        self._tunnel: Tunnel | None = None
        self._failed_at = float("-inf")

    def __call__(self) -> int:
        """The local port. Raises `SshError` when the head cannot be reached."""
        if self._tunnel is not None and self._tunnel.alive:
            return self._tunnel.port
        if self._monotonic() - self._failed_at < _RETRY_SECONDS:
            raise SshError("the head was unreachable a moment ago")
        try:
            self._tunnel = self._open()
        except SshError:
            self._failed_at = self._monotonic()
            raise
        return self._tunnel.port

    def close(self) -> None:
        """Close the tunnel, if there is one."""
        if self._tunnel is not None:
            self._tunnel.close()
            self._tunnel = None
