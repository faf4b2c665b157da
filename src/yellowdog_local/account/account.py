"""Who exists on the local platform: one application, the one whose key it is, in one group whose role may do all.

There is nobody else to tell apart, so nothing here can be changed.
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
    """Something of the account; there is one of each kind."""

    entity: Any
    seq: int = 0


class Account:
    """The account service, read only."""

    def __init__(self, ids: Ids, details: ApplicationDetails) -> None:
        self.application = Application(details.name or "", createdByUserId=ids.new("user"))
        self.application.id = details.id
        self.role = Role(_ROLE, list(Permission), description="May do everything")
        self.role.id = ids.new("role")
        granted = GroupRole(RoleSummary(self.role.id, self.role.name), GrantedPermissionScope(global_=True))
        self.group = Group(_GROUP, description="Everybody", roles=[granted], adminGroup=True)
        self.group.id = ids.new("group")

    def get(self, entity_id: str) -> Any:
        """The application, group or role of that id."""
        for entity in (self.application, self.group, self.role):
            if entity.id == entity_id:
                return entity
        raise NotFound("Account entity", entity_id)

    def named(self, entity: Any, name: str | None) -> list[AccountRecord]:
        """The entity in a list, if its name contains what is searched for."""
        return [AccountRecord(entity)] if name is None or name in entity.name else []


def permissions() -> list[PermissionDetail]:
    """All permissions that there are."""
    return [PermissionDetail(permission.name, permission.title, scope=permission.scope) for permission in Permission]


def group_summary(record: AccountRecord) -> GroupSummary:
    """A group as lists show it."""
    group = record.entity
    return GroupSummary(group.id, group.name, group.description, group.adminGroup)
