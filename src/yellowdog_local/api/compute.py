"""Routes of the compute service."""

from __future__ import annotations

from collections.abc import Callable

from yellowdog_client.model import (
    AttributeDefinition,
    AutoShutdown,
    ComputeRequirement,
    ComputeRequirementDynamicTemplateTestResult,
    ComputeRequirementSearch,
    ComputeRequirementStaticTemplateTestResult,
    ComputeRequirementStatus,
    ComputeRequirementSummarySearch,
    ComputeRequirementTemplate,
    ComputeRequirementTemplateSearch,
    ComputeRequirementTemplateUsage,
    ComputeSourceTemplate,
    ComputeSourceTemplateSearch,
    InstanceId,
    InstanceSearch,
    InstanceStatus,
)

from yellowdog_local.api.routing import Call, Endpoint
from yellowdog_local.compute.clouds import set_assigned
from yellowdog_local.compute.templates import requirement_summary as requirement_template_summary
from yellowdog_local.compute.templates import source_summary
from yellowdog_local.compute.views import (
    requirement_summary,
    requirement_view,
    search_instances,
    search_requirements,
)
from yellowdog_local.errors import InvalidComputeStatus, InvalidRequest
from yellowdog_local.state.records import InstanceRecord, RequirementRecord
from yellowdog_local.state.store import found


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


def _add_requirement(call: Call) -> object:
    return _created(call, call.platform.compute.add(call.load(ComputeRequirement)))


def _update_requirement(call: Call) -> object:
    entity = call.load(ComputeRequirement)
    return requirement_view(call.platform.compute.update(entity, reprovision=call.flag("reprovision")))


def _transition(call: Call) -> object:
    compute, status = call.platform.compute, call.member("status", ComputeRequirementStatus)
    moves = {
        ComputeRequirementStatus.STOPPED: compute.stop,
        ComputeRequirementStatus.RUNNING: compute.start,
        ComputeRequirementStatus.PROVISIONING: compute.reprovision,
        ComputeRequirementStatus.TERMINATED: compute.terminate,
    }
    if status not in moves:
        raise InvalidComputeStatus(f"{status} is no target status of a compute requirement")
    record = call.platform.store.requirement(call.path["id"])
    moves[status](record)
    return requirement_view(record)


def _set_auto_shutdown(call: Call) -> object:
    record = call.platform.store.requirement(call.path["id"])
    # The SDK sends no body for "no auto-shutdown".
    wanted = call.load(AutoShutdown) if call.body is not None else None
    call.platform.compute.set_auto_shutdown(record, wanted)
    return requirement_view(record)


def _is_updating(call: Call) -> object:
    return call.platform.compute.updating(call.platform.store.requirement(call.path["id"]))


def _transition_instances(call: Call) -> None:
    record, instances = _chosen_instances(call)
    status = call.member("status", InstanceStatus)
    live = call.platform.instances
    moves: dict[InstanceStatus, Callable[[InstanceRecord], None]] = {
        InstanceStatus.STOPPED: live.stop,
        InstanceStatus.RUNNING: live.start,
        InstanceStatus.PENDING: live.restart,
        InstanceStatus.TERMINATED: lambda instance: live.terminate(instance, "its user terminated it"),
    }
    if status not in moves:
        raise InvalidRequest(f"{status} is no target status of an instance")
    if status is not InstanceStatus.TERMINATED:
        call.platform.compute.check_can_stop(record)
    for instance in instances:
        moves[status](instance)


def _deprovision_instances(call: Call) -> None:
    call.platform.compute.deprovision(*_chosen_instances(call))


def _chosen_instances(call: Call) -> tuple[RequirementRecord, list[InstanceRecord]]:
    record = call.platform.store.requirement(call.path["id"])
    chosen = call.load(list[InstanceId]) if call.body is not None else []
    return record, [found("Instance", i.instanceId, record.instances.get(i.instanceId)) for i in chosen]


def _provision_template(call: Call) -> object:
    return _created(call, call.platform.compute.provision(call.load(ComputeRequirementTemplateUsage)))


def _created(call: Call, record: RequirementRecord) -> ComputeRequirement:
    record.entity.createdById = call.caller_id
    return requirement_view(record)


def _test_template(call: Call) -> object:
    draft = call.platform.compute.draft(call.load(ComputeRequirementTemplateUsage))
    if draft.report is not None:
        return ComputeRequirementDynamicTemplateTestResult(requirement_view(draft), draft.report)
    return ComputeRequirementStaticTemplateTestResult(computeRequirement=requirement_view(draft))


def _get_source_report(call: Call) -> object:
    record = call.platform.store.requirement(call.path["id"])
    return found("Best compute source report of", record.id, record.report)


def _list_attributes(call: Call) -> object:
    return call.platform.attributes.all()


def _add_attribute(call: Call) -> object:
    return call.platform.attributes.add(call.load(AttributeDefinition))


def _update_attribute(call: Call) -> object:
    return call.platform.attributes.update(call.load(AttributeDefinition))


def _delete_attribute(call: Call) -> None:
    call.platform.attributes.delete(call.path["name"])


def _list_instances(call: Call) -> object:
    search = call.search(InstanceSearch)
    return call.slice(search_instances(call.platform.store, search), lambda instance: instance.entity, search)


def _add_source_template(call: Call) -> object:
    return _source_template(call, call.platform.templates.add_source(call.load(ComputeSourceTemplate)))


def _update_source_template(call: Call) -> object:
    return _source_template(call, call.platform.templates.update_source(call.load(ComputeSourceTemplate)))


def _get_source_template(call: Call) -> object:
    return _source_template(call, call.platform.templates.source(_reference(call)).entity)


def _source_template(call: Call, template: ComputeSourceTemplate) -> ComputeSourceTemplate:
    platform = call.platform
    simulator_provider = platform.settings.simulator_provider
    set_assigned(template.source, can_stop=platform.instances.can_stop, simulator_provider=simulator_provider)
    return template


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
    Endpoint("POST", "/compute/requirements", _add_requirement),
    Endpoint("PUT", "/compute/requirements", _update_requirement),
    Endpoint("PUT", "/compute/requirements/{id}/transition/{status}", _transition),
    Endpoint("PUT", "/compute/requirements/{id}/autoShutdown", _set_auto_shutdown),
    Endpoint("GET", "/compute/requirements/{id}/updating", _is_updating),
    Endpoint("PUT", "/compute/requirements/{id}/instances/transition/{status}", _transition_instances),
    Endpoint("PUT", "/compute/requirements/{id}/instances/deprovision", _deprovision_instances),
    Endpoint("POST", "/compute/templates/provision", _provision_template),
    Endpoint("PUT", "/compute/templates/test", _test_template),
    Endpoint("GET", "/compute/templates/provision/report/{id}", _get_source_report),
    Endpoint("GET", "/compute/attributes/user", _list_attributes),
    Endpoint("POST", "/compute/attributes/user", _add_attribute),
    Endpoint("PUT", "/compute/attributes/user", _update_attribute),
    Endpoint("DELETE", "/compute/attributes/user/{name}", _delete_attribute),
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
