"""Routes of the cloud information service."""

from __future__ import annotations

from yellowdog_client.model import InstanceTypeSearch

from yellowdog_local.api.routing import Call, Endpoint


def _instance_types(call: Call) -> object:
    search = call.search(InstanceTypeSearch)
    return call.slice(call.platform.cloud_info.instance_types(search), lambda record: record.entity, search)


ENDPOINTS = (Endpoint("GET", "/cloudInfo/instanceTypes", _instance_types),)
