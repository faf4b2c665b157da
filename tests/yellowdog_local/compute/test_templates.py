from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import (
    ComputeRequirementDynamicTemplate,
    ComputeRequirementStaticTemplate,
    ComputeRequirementTemplateSearch,
    ComputeRequirementTemplateUsage,
    ComputeSourceTemplate,
    ComputeSourceTemplateSearch,
    ComputeSourceUsage,
    SimulatorComputeSource,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.compute import clouds
from yellowdog_local.compute.templates import Templates
from yellowdog_local.errors import AlreadyExists, Conflict, InvalidRequest, NotFound
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.settings import Settings
from yellowdog_local.state.store import Store

SINGLE, SPLIT = (f"co.yellowdog.platform.model.{name}ProvisionStrategy" for name in ("SingleSource", "Split"))
TRAITS = clouds.traits(can_stop=False)


@pytest.fixture
def templates(kernel: Kernel, store: Store, ids: Ids) -> Templates:
    made = Templates(kernel, store, ids, Namespaces(kernel, store, ids))
    for name in ("first", "second"):
        made.add_source(source(name))
    return made


def source(name: str, namespace: str | None = "demo", **fields: Any) -> ComputeSourceTemplate:
    return ComputeSourceTemplate(SimulatorComputeSource(name, **fields), namespace)


def static(name: str, *usages: ComputeSourceUsage, **fields: Any) -> ComputeRequirementStaticTemplate:
    sources = list(usages) or [ComputeSourceUsage("demo/first")]
    return ComputeRequirementStaticTemplate(name, fields.pop("strategyType", SINGLE), sources, "demo", **fields)


def usage(template: str, **fields: Any) -> ComputeRequirementTemplateUsage:
    return ComputeRequirementTemplateUsage(template, "requirement", **fields)


def test_template_is_found_by_id_and_full_name(templates: Templates) -> None:
    record = templates.source("demo/first")
    assert templates.source(record.id) is record
    for reference in ("first", "other/first", "ydid:cst:none"):
        with pytest.raises(NotFound):
            templates.source(reference)


def test_name_is_required_valid_and_taken_in_its_namespace_only(templates: Templates) -> None:
    with pytest.raises(AlreadyExists):
        templates.add_source(source("first"))
    templates.add_source(source("first", "other"))
    templates.add_source(source("first", None))
    for name, reason in (("", "name must be set"), ("A", "is not a valid name")):
        with pytest.raises(InvalidRequest, match=reason):
            templates.add_source(source(name))


def test_update_replaces_a_template_but_not_its_name(templates: Templates) -> None:
    changed = source("first", region="eu")
    changed.id = templates.source("demo/first").id
    templates.update_source(changed)
    assert templates.source("demo/first").entity is changed
    changed.source.name = "third"
    with pytest.raises(InvalidRequest, match="cannot be changed"):
        templates.update_source(changed)
    renamed = static("other")
    renamed.id = templates.add_requirement(static("made")).id
    with pytest.raises(InvalidRequest, match="cannot be changed"):
        templates.update_requirement(renamed)


@pytest.mark.parametrize("by_name", [True, False])
def test_source_template_in_use_is_not_deleted(templates: Templates, by_name: bool) -> None:
    record = templates.source("demo/first")
    made = templates.add_requirement(static("made", ComputeSourceUsage("demo/first" if by_name else record.id)))
    with pytest.raises(Conflict, match="is used by template 'made'"):
        templates.delete_source(record.id)
    templates.delete_requirement(made.id or "")
    templates.delete_source(record.id)
    assert [r.name for r in templates.search_sources(ComputeSourceTemplateSearch())] == ["second"]


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (static("made", strategyType="Other"), "strategyType must be one of"),
        (static("made", ComputeSourceUsage("demo/none")), "'demo/none' not found"),
        (ComputeRequirementStaticTemplate("made", SINGLE, [], "demo"), "sources must not be empty"),
    ],
)
def test_requirement_template_is_refused_with_the_reason(templates: Templates, entity: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        templates.add_requirement(entity)
    assert templates.search_requirements(ComputeRequirementTemplateSearch()) == []


def test_value_nearest_to_the_provisioning_applies(templates: Templates) -> None:
    entity = templates.source("demo/second").entity
    entity.source.instanceTags = {"a": "source", "b": "source"}
    near = ComputeSourceUsage("demo/first", instanceType="big", imageId="usage")
    far = ComputeSourceUsage("demo/second")
    tags = {"b": "template", "c": "template"}
    templates.add_requirement(static("made", near, far, imagesId="template", instanceTags=tags))
    resolved = templates.resolve(usage("demo/made", instanceTags={"c": "request"}), TRAITS)
    first, second = [made for _, made in resolved.sources]
    assert (clouds.instance_type(first), clouds.image(first)) == ("big", "usage")
    assert (clouds.instance_type(second), clouds.image(second)) == ("sim-instance", "template")
    assert second.instanceTags == {"a": "source", "b": "template", "c": "request"}
    assert entity.source.instanceTags == {"a": "source", "b": "source"}
    (_, third), _ = templates.resolve(usage("demo/made", imagesId="request"), TRAITS).sources
    assert clouds.image(third) == "request"


@pytest.mark.parametrize(("strategy", "count"), [(SINGLE, 1), (SPLIT, 2)])
def test_dynamic_template_resolves_to_selected_sources(templates: Templates, strategy: str, count: int) -> None:
    templates.add_requirement(ComputeRequirementDynamicTemplate("made", strategy, "demo"))
    resolved = templates.resolve(usage("demo/made"), TRAITS)
    assert resolved.report is not None
    assert [made for made, _ in resolved.sources] == resolved.report.selectedSourceTemplateIds
    assert len(resolved.sources) == count


def test_template_name_is_refused_if_set(kernel: Kernel, templates: Templates) -> None:
    made = templates.add_requirement(static("made"))
    kernel.settings = Settings(accept_template_names=False)
    with pytest.raises(InvalidRequest, match="must be an id"):
        templates.resolve(usage("demo/made"), TRAITS)
    assert templates.resolve(usage(made.id or ""), TRAITS).report is None


def test_search_combines_name_namespace_and_type(templates: Templates) -> None:
    templates.add_requirement(static("made"))
    templates.add_requirement(ComputeRequirementDynamicTemplate("free", SPLIT, "demo"))

    def names(**search: Any) -> list[str]:
        return [r.name for r in templates.search_requirements(ComputeRequirementTemplateSearch(**search))]

    assert names(name="ad") == names(strategyType=[SINGLE]) == ["made"]
    assert (names(namespaces=["other"]), names(namespaces=["demo"])) == ([], ["made", "free"])
    kind = SimulatorComputeSource("s").type
    assert len(templates.search_sources(ComputeSourceTemplateSearch(sourceType=kind))) == 2
    assert templates.search_sources(ComputeSourceTemplateSearch(sourceTypes=["other"])) == []
