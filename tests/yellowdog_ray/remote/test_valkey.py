"""The Valkey client's connection; `test_tags.py` has its calls."""

import socket
from unittest.mock import Mock

import pytest
import redis

from yellowdog_ray.remote.valkey import StoreError, Valkey


def test_client_connects_to_the_address_where_the_tunnel_listens(monkeypatch):
    hosts = []

    def resolve(host, *_):
        hosts.append(host)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(StoreError):
        Valkey(1, 1.0, 1000).call(lambda client: client.ping())
    assert hosts == ["127.0.0.1"], "the name localhost may be another interface"


@pytest.mark.parametrize("error", [redis.ConnectionError("reset"), OSError("reset")])
def test_close_raises_nothing_when_the_connection_is_broken(monkeypatch, error):
    monkeypatch.setattr(redis.ConnectionPool, "disconnect", Mock(side_effect=error))

    Valkey(1, 1.0, 1000).close()
