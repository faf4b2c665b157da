"""The tag store: Ray's mutable tags (status, runtime hash, file-mounts hash), kept in Valkey on the head.

Nothing else is kept there, and losing it loses no node. Knows nothing of YellowDog.
"""

from __future__ import annotations

import importlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, TypeVar

from yellowdog_ray.errors import SshError
from yellowdog_ray.remote.ssh import Tunnel

if TYPE_CHECKING:
    import redis

logger = logging.getLogger(__name__)

Tags = dict[str, str]
T = TypeVar("T")

_VERSION = ":version"
"""The field that is another after every `set`. No node id begins like that."""

SPARE_NODES = 1_000
"""So many nodes that are gone may have tags in the store."""

_TIMEOUT_SECONDS = 3.0
_TRY_AGAIN_SECONDS = 20.0


class TagStore:
    """Mutable tags by node id. What this process has set is remembered here even while the store cannot be reached.

    Args:
        cluster: the cluster's name; part of the key.
        connect: gives the local port of the store, opening a tunnel where one is needed. It may raise `SshError`.
        restores: whether to put the tags back into a store that has come up empty.
    """

    def __init__(self, cluster: str, connect: Callable[[], int], *, restores: bool = False) -> None:
        self._key = f"raydog:{cluster}:tags"
        self._connect = connect
        self._restores = restores
        self._own: dict[str, Tags] = {}
        self._stored: dict[str, Tags] = {}
        self._version: str | None = None
        self._client: tuple[int, redis.Redis] | None = None

    def get(self, node_id: str) -> Tags:
        """What is known of a node's mutable tags since the last `refresh`."""
        return {**self._stored.get(node_id, {}), **self._own.get(node_id, {})}

    def refresh(self) -> bool:
        """Read every node's mutable tags, unless none was set since. Returns whether the store answered."""
        fields = self._ask(self._read)
        if fields is None:
            return False
        version = fields.pop(_VERSION, None)
        if version is not None and version == self._version and not fields:
            return True
        if self._restores and self._stored and not fields:
            logger.warning("the tag store has come up empty: it is given back what it held")
            self._write(self._stored)
            return True
        self._stored = {node_id: json.loads(tags) for node_id, tags in fields.items()}
        self._version = version
        return True

    def _read(self, client: redis.Redis) -> dict[str, str]:
        """All fields; nothing but the version if that is the one that was read before."""
        version = client.hget(self._key, _VERSION)
        if version is not None and version == self._version:
            return {_VERSION: version}
        return dict(client.hgetall(self._key))

    def _write(self, tags: Mapping[str, Tags]) -> bool:
        fields = {node_id: json.dumps(of_node) for node_id, of_node in tags.items()}
        fields[_VERSION] = uuid.uuid4().hex
        return self._ask(lambda client: client.hset(self._key, mapping=fields)) is not None

    def remember(self, node_id: str, tags: Mapping[str, str]) -> None:
        """Note tags of a node whose store does not run yet."""
        self._own[node_id] = {**self._own.get(node_id, {}), **tags}

    def set(self, node_id: str, tags: Mapping[str, str]) -> bool:
        """Merge tags into a node's. Returns whether the store took them; if not, the next `set` brings them along."""
        self.remember(node_id, tags)
        return self._write({node_id: self.get(node_id)})

    def keep(self, node_ids: Set[str]) -> None:
        """Drop the tags of all other nodes, once they are many: a cluster may have had any number."""
        known = self._stored.keys() | self._own.keys() if len(self._stored) + len(self._own) > SPARE_NODES else set()
        gone = known - node_ids
        if len(gone) <= SPARE_NODES:
            return
        for tags in (self._stored, self._own):
            for node_id in gone & tags.keys():
                del tags[node_id]
        self._ask(lambda client: client.hdel(self._key, *gone))

    def prepare(self) -> None:
        """Load the client, while there is time: 0.4 s, which most `ray` commands need not pay."""
        importlib.import_module("redis")

    def close(self) -> None:
        """End the way to the store, if one was opened."""
        self._drop_client()
        if isinstance(self._connect, TunnelledPort):
            self._connect.close()

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client[1].close()
            self._client = None

    def _ask(self, question: Callable[[redis.Redis], T]) -> T | None:
        """Put one question to the store; None when it does not answer."""
        import redis

        try:
            return question(self._client_of(self._connect()))
        except (redis.RedisError, SshError) as error:
            logger.debug("the tag store does not answer: %s", error)
            return None

    def _client_of(self, port: int) -> redis.Redis:
        """The client of a port. It is kept: to greet the store each time would cost half of a quiet tick."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        if self._client is None or self._client[0] != port:
            self._drop_client()
            client = redis.Redis(
                port=port,
                # The client would otherwise wait and try again for seconds, in the autoscaler's loop.
                retry=Retry(NoBackoff(), 0),
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                decode_responses=True,
            )
            self._client = port, client
        return self._client[1]


class TunnelledPort:
    """The head's tag port, reached through a tunnel that is opened when first needed and again when it has broken.

    A head that was just found out of reach is left alone for a while, so that a command which lists often, such as
    `ray down`, does not wait for it every time.
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
        if self._monotonic() - self._failed_at < _TRY_AGAIN_SECONDS:
            raise SshError("the head was out of reach a moment ago")
        try:
            self._tunnel = self._open()
        except SshError:
            self._failed_at = self._monotonic()
            raise
        return self._tunnel.port

    def close(self) -> None:
        """End the tunnel, if there is one."""
        if self._tunnel is not None:
            self._tunnel.close()
            self._tunnel = None
