"""Routes of the namespaces service."""

from __future__ import annotations

from yellowdog_client.model import CreateNamespaceRequest, NamespaceSearch

from yellowdog_local.api.routing import Call, Endpoint, PlainText


def _list(call: Call) -> object:
    namespaces, search = call.platform.namespaces, call.search(NamespaceSearch)
    return call.slice(namespaces.search(search), namespaces.view, search)


def _create(call: Call) -> object:
    record = call.platform.namespaces.create(call.load(CreateNamespaceRequest).namespace)
    return PlainText(record.entity.id)


def _get(call: Call) -> object:
    namespaces = call.platform.namespaces
    return namespaces.view(namespaces.get(call.path["id"]))


def _delete(call: Call) -> None:
    call.platform.namespaces.delete(call.path["id"])


ENDPOINTS = (
    Endpoint("GET", "/namespaces", _list),
    Endpoint("POST", "/namespaces", _create),
    Endpoint("GET", "/namespaces/{id:ydid}", _get),
    Endpoint("DELETE", "/namespaces/{id:ydid}", _delete),
    # The SDK deletes with two slashes.
    Endpoint("DELETE", "/namespaces//{id:ydid}", _delete),
)
