"""Routes of the application service: the owner of the caller's key."""

from __future__ import annotations

from yellowdog_local.api.routing import Call, Endpoint


def _get(call: Call) -> object:
    return call.platform.application


ENDPOINTS = (Endpoint("GET", "/application", _get),)
