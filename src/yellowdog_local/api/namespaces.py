"""Routes of the namespaces service."""

from __future__ import annotations

from yellowdog_client.model import CreateNamespaceRequest, NamespacePolicy, NamespacePolicySearch, NamespaceSearch

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


def _save_policy(call: Call) -> None:
    call.platform.policies.save(call.path["namespace"], call.load(NamespacePolicy))


def _get_policy(call: Call) -> object:
    return call.platform.policies.get(call.path["namespace"])


def _delete_policy(call: Call) -> None:
    call.platform.policies.delete(call.path["namespace"])


def _list_policies(call: Call) -> object:
    search = call.search(NamespacePolicySearch)
    return call.slice(call.platform.policies.search(search), lambda policy: policy.entity, search)


ENDPOINTS = (
    Endpoint("GET", "/namespaces", _list),
    Endpoint("POST", "/namespaces", _create),
    Endpoint("GET", "/namespaces/{id:ydid}", _get),
    Endpoint("DELETE", "/namespaces/{id:ydid}", _delete),
    Endpoint("GET", "/namespaces/policies", _list_policies),
    Endpoint("PUT", "/namespaces/{namespace:label}/policy", _save_policy),
    Endpoint("GET", "/namespaces/{namespace:label}/policy", _get_policy),
    Endpoint("DELETE", "/namespaces/{namespace:label}/policy", _delete_policy),
    # The SDK deletes with two slashes.
    Endpoint("DELETE", "/namespaces//{id:ydid}", _delete),
)
