"""Bounds the HTTP calls of a `requests` session in time and bytes, each as a whole. No thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from yellowdog_ray.budget import BoundedSocket, Budget

if TYPE_CHECKING:
    import socket


def bound_calls(session: requests.Session, connections: int, seconds: float, size: int) -> None:
    """Bound each call of a session, also through proxies. Its retries and socket options stay.

    Args:
        session: the session.
        connections: kept per host.
        seconds: the deadline of a call, connecting included. Where a name has several addresses, the connect timeout
            applies to each.
        size: the bytes of an answer, headers included, as they are transferred.
    """
    adapters = {id(adapter): adapter for adapter in session.adapters.values() if isinstance(adapter, HTTPAdapter)}
    for adapter in adapters.values():
        _bound(adapter, connections, seconds, size)


def _bound(adapter: HTTPAdapter, connections: int, seconds: float, size: int) -> None:
    adapter.init_poolmanager(connections, connections)
    classes = _pool_classes(seconds, size)
    proxy_manager_for = adapter.proxy_manager_for

    def bounded_proxy_manager_for(*arguments: Any, **options: Any) -> PoolManager:
        manager: PoolManager = proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = classes
        return manager

    adapter.poolmanager.pool_classes_by_scheme = classes
    adapter.proxy_manager_for = bounded_proxy_manager_for  # type: ignore[method-assign]


class _BoundedConnection(HTTPConnection):
    """A connection whose calls have a budget. Connecting, TLS and a proxy's tunnel are part of the first call.

    Attributes:
        seconds, size: of each call; set by subclasses.
    """

    seconds: float
    size: int

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._budget = Budget(self.seconds, self.size)
        self._is_new = False

    def connect(self) -> None:
        self._budget.begin()
        super().connect()
        if not isinstance(self.sock, BoundedSocket):  # TLS makes a socket of its own
            self.sock = BoundedSocket(self.sock, self._budget)
        self._is_new = True

    def request(self, *arguments: Any, **options: Any) -> None:
        if not self._is_new:
            self._budget.begin()
        super().request(*arguments, **options)
        self._is_new = False

    def _new_conn(self) -> socket.socket:
        return cast("socket.socket", BoundedSocket(super()._new_conn(), self._budget))


def _pool_classes(seconds: float, size: int) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools with bounded connections, by scheme."""
    limits = {"seconds": seconds, "size": size}
    plain = type("BoundedHTTPConnection", (_BoundedConnection,), limits)
    tls = type("BoundedHTTPSConnection", (_BoundedConnection, HTTPSConnection), limits)
    return {
        "http": type("BoundedHTTPConnectionPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("BoundedHTTPSConnectionPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }
