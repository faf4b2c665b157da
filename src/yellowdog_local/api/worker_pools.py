"""Routes of the worker pool service."""

from __future__ import annotations

from datetime import timedelta

from yellowdog_client.model import (
    AddConfiguredWorkerPoolRequest,
    AddNodeActionsRequest,
    NodeSearch,
    ProvisionTemplateWorkerPoolRequest,
    WorkerPoolSearch,
)

from yellowdog_local.api.routing import Call, Endpoint


def _provision(call: Call) -> object:
    pools, request = call.platform.pools, call.load(ProvisionTemplateWorkerPoolRequest)
    pool = pools.provision(request.requirementTemplateUsage, request.provisionedProperties)
    pool.requirement.entity.createdById = call.caller_id
    return pools.view(pool)


def _list(call: Call) -> object:
    pools, search = call.platform.pools, call.search(WorkerPoolSearch)
    return call.slice_or_list(pools.search(search), pools.summary, search)


def _get(call: Call) -> object:
    return call.platform.pools.view(call.platform.store.pool(call.path["id"]))


def _get_by_name(call: Call) -> object:
    return call.platform.pools.view(call.platform.store.pool_by_name(call.path["namespace"], call.path["name"]))


def _shut_down(call: Call) -> None:
    call.platform.pools.shut_down(call.platform.store.pool(call.path["id"]))


def _list_nodes(call: Call) -> object:
    search = call.search(NodeSearch)
    return call.slice(call.platform.pools.search_nodes(search), call.platform.nodes.view, search)


def _get_node(call: Call) -> object:
    return call.platform.nodes.view(call.platform.store.node(call.path["id"]))


def _shut_down_node(call: Call) -> object:
    node = call.platform.store.node(call.path["id"])
    call.platform.pools.shut_down_node(node)
    return call.platform.nodes.view(node)


def _get_node_of_worker(call: Call) -> object:
    return call.platform.nodes.view(call.platform.store.worker(call.path["id"]).node)


def _resize(call: Call) -> object:
    pool = call.platform.store.pool(call.path["id"])
    call.platform.pools.resize(pool, call.number("size"))
    return call.platform.pools.view(pool)


def _add_configured(call: Call) -> object:
    pool, token = call.platform.configured.add(call.load(AddConfiguredWorkerPoolRequest))
    view = call.platform.pools.view(pool)
    return {"workerPool": view, "token": token}


def _get_token(call: Call) -> object:
    return call.platform.configured.token(call.path["id"])


def _refresh_token(call: Call) -> object:
    return call.platform.configured.refresh_token(call.path["id"], _ttl(call))


def _regenerate_token(call: Call) -> object:
    return call.platform.configured.regenerate_token(call.path["id"], _ttl(call))


def _ttl(call: Call) -> timedelta | None:
    return call.load(timedelta) if call.body is not None else None


def _add_actions(call: Call) -> None:
    call.platform.node_actions.add(call.platform.store.pool(call.path["id"]), call.load(AddNodeActionsRequest))


def _get_actions(call: Call) -> object:
    return call.platform.node_actions.snapshot(call.platform.store.node(call.path["id"]))


def _autoscaling_capacity(call: Call) -> object:
    return call.platform.policies.capacity(call.path["namespace"])


ENDPOINTS = (
    Endpoint("POST", "/workerPools/provisioned/template", _provision),
    Endpoint("PUT", "/workerPools/provisioned/{id:ydid}", _resize),
    Endpoint("POST", "/workerPools/configured", _add_configured),
    Endpoint("GET", "/workerPools/configured/{id:ydid}/token", _get_token),
    Endpoint("POST", "/workerPools/configured/{id:ydid}/token/refresh", _refresh_token),
    Endpoint("POST", "/workerPools/configured/{id:ydid}/token/regenerate", _regenerate_token),
    Endpoint("GET", "/workerPools/namespaces/{namespace:label}/autoscalingCapacity", _autoscaling_capacity),
    Endpoint("POST", "/workerPools/{id:ydid}/actions", _add_actions),
    Endpoint("GET", "/workerPools/nodes/{id:ydid}/actions", _get_actions),
    Endpoint("GET", "/workerPools", _list),
    Endpoint("GET", "/workerPools/nodes", _list_nodes),
    Endpoint("GET", "/workerPools/nodes/{id:ydid}", _get_node),
    Endpoint("DELETE", "/workerPools/nodes/{id:ydid}", _shut_down_node),
    Endpoint("GET", "/workerPools/workers/{id}/node", _get_node_of_worker),
    Endpoint("GET", "/workerPools/{id:ydid}", _get),
    Endpoint("DELETE", "/workerPools/{id:ydid}", _shut_down),
    # Last, since it fits all that has two segments; ids begin with `ydid:`, which no namespace can.
    Endpoint("GET", "/workerPools/{namespace:label}/{name:label}", _get_by_name),
)
