"""Compute source templates and compute requirement templates: store, search, and resolve for provisioning."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

from yellowdog_client.model import (
    BestComputeSourceReport,
    ComputeRequirementDynamicTemplate,
    ComputeRequirementStaticTemplate,
    ComputeRequirementTemplate,
    ComputeRequirementTemplateSearch,
    ComputeRequirementTemplateSummary,
    ComputeRequirementTemplateUsage,
    ComputeSource,
    ComputeSourceTemplate,
    ComputeSourceTemplateSearch,
    ComputeSourceTemplateSummary,
    ComputeSourceTraits,
    ComputeSourceUsage,
    SingleSourceProvisionStrategy,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.compute import clouds
from yellowdog_local.compute.selection import choose
from yellowdog_local.compute.strategies import STRATEGIES
from yellowdog_local.errors import AlreadyExists, Conflict, InvalidRequest
from yellowdog_local.state import ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.plain_records import RequirementTemplateRecord, SourceTemplateRecord
from yellowdog_local.state.store import Store, found

_NOT_NEGATIVE = ("limit", "instanceStartupTimeSeconds", "instanceStartupTimeVariance")
_Record = TypeVar("_Record", SourceTemplateRecord, RequirementTemplateRecord)


@dataclass(frozen=True)
class Resolved:
    """A requirement template, ready to be provisioned.

    Attributes:
        template: the template.
        sources: copies of its sources with their templates' ids, in order of use.
        report: the selection of a dynamic template; None for a static one.
    """

    template: ComputeRequirementStaticTemplate | ComputeRequirementDynamicTemplate
    sources: list[tuple[str, ComputeSource]]
    report: BestComputeSourceReport | None


class Templates:
    """The templates of the compute service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, id_maker: ids.Ids, namespaces: Namespaces) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._namespaces = namespaces

    def add_source(self, entity: ComputeSourceTemplate) -> ComputeSourceTemplate:
        """Add a source template."""
        _check_numbers(entity.source)
        name = self._checked_name(entity.source.name, entity.namespace)
        _refuse_twin(self._store.source_templates.values(), "Compute source template", entity.namespace, name)
        entity.id = self._ids.new("cst")
        self._store.source_templates[entity.id] = SourceTemplateRecord(
            self._kernel.next_sequence(), entity.id, entity.namespace, name, entity
        )
        return entity

    def update_source(self, entity: ComputeSourceTemplate) -> ComputeSourceTemplate:
        """Replace a source template; requirements provisioned from it stay unchanged."""
        record = self.source(entity.id or "")
        if (entity.namespace, entity.source.name) != (record.namespace, record.name):
            raise InvalidRequest("namespace and name of a compute source template cannot be changed")
        _check_numbers(entity.source)
        record.entity = entity
        return entity

    def source(self, reference: str) -> SourceTemplateRecord:
        """The source template of that id or `namespace/name`."""
        return _resolved("Compute source template", reference, self._store.source_templates)

    def delete_source(self, template_id: str) -> None:
        """Delete a source template that no requirement template uses."""
        record = self.source(template_id)
        for other in self._store.requirement_templates.values():
            usages = getattr(other.entity, "sources", None) or ()
            if any(usage.sourceTemplateId in _references(record) for usage in usages):
                raise Conflict(f"Compute source template '{record.name}' is used by template '{other.name}'")
        del self._store.source_templates[record.id]

    def search_sources(self, search: ComputeSourceTemplateSearch) -> list[SourceTemplateRecord]:
        """The source templates that match a search."""
        types = [*(search.sourceTypes or ()), *([search.sourceType] if search.sourceType else ())]
        return [
            record
            for record in self._store.source_templates.values()
            if _fits(record, search.name, search.namespaces) and (not types or record.entity.source.type in types)
        ]

    def add_requirement(self, entity: ComputeRequirementTemplate) -> ComputeRequirementTemplate:
        """Add a requirement template."""
        name = self._checked_name(entity.name, entity.namespace)
        self._check(entity)
        records = self._store.requirement_templates.values()
        _refuse_twin(records, "Compute requirement template", entity.namespace, name)
        entity.id = self._ids.new("crt")
        self._store.requirement_templates[entity.id] = RequirementTemplateRecord(
            self._kernel.next_sequence(), entity.id, entity.namespace, name, entity
        )
        return entity

    def update_requirement(self, entity: ComputeRequirementTemplate) -> ComputeRequirementTemplate:
        """Replace a requirement template; requirements provisioned from it stay unchanged."""
        record = self.requirement(entity.id or "")
        self._check(entity)
        if (entity.namespace, entity.name) != (record.namespace, record.name):
            raise InvalidRequest("namespace and name of a compute requirement template cannot be changed")
        record.entity = entity
        return entity

    def requirement(self, reference: str) -> RequirementTemplateRecord:
        """The requirement template of that id or `namespace/name`."""
        return _resolved("Compute requirement template", reference, self._store.requirement_templates)

    def delete_requirement(self, template_id: str) -> None:
        """Delete a requirement template."""
        del self._store.requirement_templates[self.requirement(template_id).id]

    def search_requirements(self, search: ComputeRequirementTemplateSearch) -> list[RequirementTemplateRecord]:
        """The requirement templates that match a search."""
        return [
            record
            for record in self._store.requirement_templates.values()
            if _fits(record, search.name, search.namespaces)
            and (not search.type or record.entity.type in search.type)
            and (not search.strategyType or record.entity.strategyType in search.strategyType)
        ]

    def resolve(self, wanted: ComputeRequirementTemplateUsage, traits: ComputeSourceTraits) -> Resolved:
        """The template and sources for provisioning, if every source has the given traits."""
        if not (ids.is_ydid(wanted.templateId) or self._kernel.settings.accept_template_names):
            raise InvalidRequest(f"templateId must be an id, not the name '{wanted.templateId}'")
        template = self.requirement(wanted.templateId).entity
        if isinstance(template, ComputeRequirementStaticTemplate):
            return Resolved(template, [self._sourced(usage, template, wanted) for usage in template.sources], None)
        if not isinstance(template, ComputeRequirementDynamicTemplate):
            raise InvalidRequest(f"template '{wanted.templateId}' is neither static nor dynamic")
        single = STRATEGIES[template.strategyType] is SingleSourceProvisionStrategy
        chosen, report = choose(template, list(self._store.source_templates.values()), traits, single=single)
        usages = [ComputeSourceUsage(sourceTemplateId=record.id) for record in chosen]
        return Resolved(template, [self._sourced(usage, template, wanted) for usage in usages], report)

    def _sourced(
        self,
        usage: ComputeSourceUsage,
        template: ComputeRequirementStaticTemplate | ComputeRequirementDynamicTemplate,
        wanted: ComputeRequirementTemplateUsage,
    ) -> tuple[str, ComputeSource]:
        record = self.source(usage.sourceTemplateId)
        source = deepcopy(record.entity.source)
        # The value nearest to the provisioning applies; images are recorded and not resolved.
        clouds.set_machine(source, usage.instanceType, wanted.imagesId or usage.imageId or template.imagesId)
        tags = {**(source.instanceTags or {}), **(template.instanceTags or {}), **(wanted.instanceTags or {})}
        source.instanceTags = tags or None
        return record.id, source

    def _checked_name(self, name: str | None, namespace: str | None) -> str:
        if not name:
            raise InvalidRequest("name must be set")
        self._namespaces.check_name("name", name)
        if namespace is not None:
            self._namespaces.use(namespace)
        return name

    def _check(self, entity: ComputeRequirementTemplate) -> None:
        if entity.strategyType not in STRATEGIES:
            raise InvalidRequest(f"strategyType must be one of {', '.join(sorted(STRATEGIES))}")
        if not isinstance(entity, ComputeRequirementStaticTemplate):
            return
        if not entity.sources:
            raise InvalidRequest("sources must not be empty")
        for usage in entity.sources:
            if not any(usage.sourceTemplateId in _references(r) for r in self._store.source_templates.values()):
                raise InvalidRequest(f"Compute source template '{usage.sourceTemplateId}' not found")


def source_summary(record: SourceTemplateRecord) -> ComputeSourceTemplateSummary:
    """A source template as lists show it."""
    return ComputeSourceTemplateSummary(
        id=record.id,
        name=record.name,
        namespace=record.namespace,
        description=record.entity.description,
        sourceType=record.entity.source.type,
        provider=clouds.provider(record.entity.source),
    )


def requirement_summary(record: RequirementTemplateRecord) -> ComputeRequirementTemplateSummary:
    """A requirement template as lists show it."""
    entity: Any = record.entity
    return ComputeRequirementTemplateSummary(
        id=record.id,
        name=record.name,
        namespace=record.namespace,
        description=entity.description,
        strategyType=entity.strategyType,
        type=entity.type,
    )


def _references(record: SourceTemplateRecord) -> tuple[str, str]:
    return record.id, f"{record.namespace}/{record.name}"


def _resolved(what: str, reference: str, records: dict[str, _Record]) -> _Record:
    if ids.is_ydid(reference):
        return found(what, reference, records.get(reference))
    matching = (r for r in records.values() if f"{r.namespace}/{r.name}" == reference)
    return found(what, reference, next(matching, None))


def _refuse_twin(records: Iterable[_Record], what: str, namespace: str | None, name: str) -> None:
    if any((record.namespace, record.name) == (namespace, name) for record in records):
        raise AlreadyExists(what, namespace or "", name)


def _check_numbers(source: ComputeSource) -> None:
    """Refuse numbers without a meaning. The model's types allow them."""
    for key in _NOT_NEGATIVE:
        if (getattr(source, key, None) or 0) < 0:
            raise InvalidRequest(f"source.{key} must be 0 or above, not {getattr(source, key)}")
    probability = getattr(source, "unexpectedInstanceTerminationProbability", 0)
    if not 0 <= probability <= 1:
        raise InvalidRequest(
            f"source.unexpectedInstanceTerminationProbability must be a number from 0 to 1, not {probability}"
        )


def _fits(record: _Record, name: str | None, namespaces: list[str] | None) -> bool:
    if name is not None and name not in record.name:
        return False
    return not namespaces or record.namespace in namespaces
