"""The account of the local platform: one application, the owner of the API key, in one group with all permissions.

Nothing of it can be changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yellowdog_client.model import (
    Application,
    ApplicationDetails,
    GrantedPermissionScope,
    Group,
    GroupRole,
    GroupSummary,
    Permission,
    PermissionDetail,
    Role,
    RoleSummary,
)

from yellowdog_local.errors import NotFound
from yellowdog_local.state.ids import Ids

_ROLE = "administrator"
_GROUP = "administrators"


@dataclass(frozen=True, eq=False)
class AccountRecord:
    """An entity of the account; there is one of each kind."""

    entity: Any
    seq: int = 0


class Account:
    """The account service, read only."""

    def __init__(self, ids: Ids, details: ApplicationDetails) -> None:
        self.application = Application(details.name or "", createdByUserId=ids.new("user"))
        self.application.id = details.id
        self.role = Role(_ROLE, list(Permission), description="All permissions")
        self.role.id = ids.new("role")
        granted = GroupRole(RoleSummary(self.role.id, self.role.name), GrantedPermissionScope(global_=True))
        self.group = Group(_GROUP, description="All applications", roles=[granted], adminGroup=True)
        self.group.id = ids.new("group")

    def get(self, entity_id: str) -> Any:
        """The application, group or role with this id.

        Raises:
            NotFound: there is none.
        """
        for entity in (self.application, self.group, self.role):
            if entity.id == entity_id:
                return entity
        raise NotFound("Account entity", entity_id)

    def named(self, entity: Any, name: str | None) -> list[AccountRecord]:
        """The entity as a list, if its name contains the given text."""
        return [AccountRecord(entity)] if name is None or name in entity.name else []


def permissions() -> list[PermissionDetail]:
    """All permissions."""
    return [PermissionDetail(permission.name, permission.title, scope=permission.scope) for permission in Permission]


def group_summary(record: AccountRecord) -> GroupSummary:
    """The summary of a group, for lists."""
    group = record.entity
    return GroupSummary(group.id, group.name, group.description, group.adminGroup)
