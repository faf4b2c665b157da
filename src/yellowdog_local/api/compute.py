"""Routes of the compute service."""

from __future__ import annotations

from yellowdog_client.model import (
    ComputeRequirementSearch,
    ComputeRequirementStatus,
    ComputeRequirementSummarySearch,
    ComputeRequirementTemplate,
    ComputeRequirementTemplateSearch,
    ComputeSourceTemplate,
    ComputeSourceTemplateSearch,
    InstanceSearch,
)

from yellowdog_local.api.routing import Call, Endpoint
from yellowdog_local.compute_views import (
    requirement_summary,
    requirement_view,
    search_instances,
    search_requirements,
)
from yellowdog_local.errors import NotCovered
from yellowdog_local.templates import requirement_summary as requirement_template_summary
from yellowdog_local.templates import source_summary


def _get_requirement(call: Call) -> object:
    return requirement_view(call.platform.store.requirement(call.path["id"]))


def _get_requirement_by_name(call: Call) -> object:
    return requirement_view(call.platform.store.requirement_by_name(call.path["namespace"], call.path["name"]))


def _list_requirements(call: Call) -> object:
    store = call.platform.store
    if call.flag("summaries"):
        summaries = call.search(ComputeRequirementSummarySearch)
        return call.slice(search_requirements(store, summaries), requirement_summary, summaries)
    search = call.search(ComputeRequirementSearch)
    return call.slice(search_requirements(store, search), requirement_view, search)


def _transition(call: Call) -> object:
    status = call.member("status", ComputeRequirementStatus)
    record = call.platform.store.requirement(call.path["id"])
    if status is not ComputeRequirementStatus.TERMINATED:
        raise NotCovered(f"Transition of a compute requirement to {status}")
    call.platform.compute.terminate(record)
    return requirement_view(record)


def _list_instances(call: Call) -> object:
    search = call.search(InstanceSearch)
    return call.slice(search_instances(call.platform.store, search), lambda instance: instance.entity, search)


def _add_source_template(call: Call) -> object:
    return call.platform.templates.add_source(call.load(ComputeSourceTemplate))


def _update_source_template(call: Call) -> object:
    entity = call.load(ComputeSourceTemplate)
    return call.platform.templates.update_source(entity)


def _get_source_template(call: Call) -> object:
    return call.platform.templates.source(_reference(call)).entity


def _delete_source_template(call: Call) -> None:
    call.platform.templates.delete_source(call.path["id"])


def _list_source_templates(call: Call) -> object:
    search = call.search(ComputeSourceTemplateSearch)
    return call.slice_or_list(call.platform.templates.search_sources(search), source_summary, search)


def _add_requirement_template(call: Call) -> object:
    return call.platform.templates.add_requirement(call.load(ComputeRequirementTemplate))


def _update_requirement_template(call: Call) -> object:
    return call.platform.templates.update_requirement(call.load(ComputeRequirementTemplate))


def _get_requirement_template(call: Call) -> object:
    return call.platform.templates.requirement(_reference(call)).entity


def _delete_requirement_template(call: Call) -> None:
    call.platform.templates.delete_requirement(call.path["id"])


def _list_requirement_templates(call: Call) -> object:
    search = call.search(ComputeRequirementTemplateSearch)
    records = call.platform.templates.search_requirements(search)
    return call.slice_or_list(records, requirement_template_summary, search)


def _reference(call: Call) -> str:
    return call.path.get("id") or f"{call.path['namespace']}/{call.path['name']}"


_SOURCES = "/compute/templates/sources"
_REQUIREMENTS = "/compute/templates/requirements"

ENDPOINTS = (
    Endpoint("GET", "/compute/requirements", _list_requirements),
    Endpoint("GET", "/compute/requirements/{id}", _get_requirement),
    Endpoint("GET", "/compute/namespaces/{namespace}/requirements/{name}", _get_requirement_by_name),
    Endpoint("PUT", "/compute/requirements/{id}/transition/{status}", _transition),
    Endpoint("GET", "/compute/instances", _list_instances),
    Endpoint("POST", _SOURCES, _add_source_template),
    Endpoint("PUT", _SOURCES, _update_source_template),
    Endpoint("GET", _SOURCES, _list_source_templates),
    Endpoint("GET", _SOURCES + "/{id}", _get_source_template),
    Endpoint("DELETE", _SOURCES + "/{id}", _delete_source_template),
    Endpoint("GET", "/compute/namespaces/{namespace}/templates/sources/{name}", _get_source_template),
    Endpoint("POST", _REQUIREMENTS, _add_requirement_template),
    Endpoint("PUT", _REQUIREMENTS, _update_requirement_template),
    Endpoint("GET", _REQUIREMENTS, _list_requirement_templates),
    Endpoint("GET", _REQUIREMENTS + "/{id}", _get_requirement_template),
    Endpoint("DELETE", _REQUIREMENTS + "/{id}", _delete_requirement_template),
    Endpoint("GET", "/compute/namespaces/{namespace}/templates/requirements/{name}", _get_requirement_template),
)
