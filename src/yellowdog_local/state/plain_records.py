"""Records of entities that have no part in the running work: namespaces, policies, keyrings, templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from yellowdog_client.model import (
    Allowance,
    ComputeSourceTemplate,
    Keyring,
    MachineImageFamily,
    NamespacePolicy,
)
from yellowdog_client.model import ComputeRequirementTemplate as RequirementTemplate
from yellowdog_client.model import Namespace as NamespaceEntity

EntityT = TypeVar("EntityT")


@dataclass(eq=False)
class PlainRecord(Generic[EntityT]):
    """An entity without any state beyond the one that the API returns."""

    seq: int
    entity: EntityT


NamespaceRecord = PlainRecord[NamespaceEntity]
PolicyRecord = PlainRecord[NamespacePolicy]
FamilyRecord = PlainRecord[MachineImageFamily]
KeyringRecord = PlainRecord[Keyring]
AllowanceRecord = PlainRecord[Allowance]


@dataclass(eq=False)
class SourceTemplateRecord:
    """A compute source template."""

    seq: int
    id: str
    namespace: str | None
    name: str
    entity: ComputeSourceTemplate


@dataclass(eq=False)
class RequirementTemplateRecord:
    """A compute requirement template."""

    seq: int
    id: str
    namespace: str | None
    name: str
    entity: RequirementTemplate
