"""Routes of the allowances service."""

from __future__ import annotations

from yellowdog_client.model import Allowance, AllowanceSearch

from yellowdog_local.api.routing import Call, Endpoint


def _list(call: Call) -> object:
    search = call.search(AllowanceSearch)
    return call.slice(call.platform.allowances.search(search), lambda record: record.entity, search)


def _add(call: Call) -> object:
    allowance = call.load(Allowance)
    allowance.createdById = call.caller_id
    return call.platform.allowances.add(allowance)


def _get(call: Call) -> object:
    return call.platform.allowances.get(call.path["id"])


def _delete(call: Call) -> None:
    call.platform.allowances.delete(call.path["id"])


def _boost(call: Call) -> object:
    return call.platform.allowances.boost(call.path["id"], int(call.path["hours"]))


ENDPOINTS = (
    Endpoint("GET", "/allowances", _list),
    Endpoint("POST", "/allowances", _add),
    Endpoint("GET", "/allowances/{id}", _get),
    Endpoint("DELETE", "/allowances/{id}", _delete),
    Endpoint("POST", "/allowances/{id}/boost/{hours:int}", _boost),
)
