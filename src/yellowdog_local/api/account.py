"""Routes of the account service, read only."""

from __future__ import annotations

from yellowdog_client.model import ApplicationSearch, GroupSearch, RoleSearch, UserSearch

from yellowdog_local.account.account import AccountRecord, group_summary, permissions
from yellowdog_local.api.routing import Call, Endpoint


def _entity(record: AccountRecord) -> object:
    return record.entity


def _get(call: Call) -> object:
    return call.platform.account.get(call.path["id"])


def _list_applications(call: Call) -> object:
    account, search = call.platform.account, call.search(ApplicationSearch)
    return call.slice(account.named(account.application, search.name), _entity, search)


def _list_groups(call: Call) -> object:
    account, search = call.platform.account, call.search(GroupSearch)
    return call.slice(account.named(account.group, search.name), group_summary, search)


def _list_roles(call: Call) -> object:
    account, search = call.platform.account, call.search(RoleSearch)
    # The one role has every permission, so it matches every search for one.
    return call.slice(account.named(account.role, search.name), _entity, search)


def _list_users(call: Call) -> object:
    users: list[AccountRecord] = []
    return call.slice(users, _entity, call.search(UserSearch))


def _groups_of(call: Call) -> object:
    account = call.platform.account
    account.get(call.path["id"])
    return call.slice(account.named(account.group, None), group_summary)


def _applications_of_group(call: Call) -> object:
    account = call.platform.account
    account.get(call.path["id"])
    return call.slice(account.named(account.application, None), _entity)


def _roles_of_group(call: Call) -> object:
    account = call.platform.account
    account.get(call.path["id"])
    return call.slice(account.named(account.role, None), _entity)


def _users_of_group(call: Call) -> object:
    call.platform.account.get(call.path["id"])
    users: list[AccountRecord] = []
    return call.slice(users, _entity)


def _list_permissions(_call: Call) -> object:
    return permissions()


ENDPOINTS = (
    Endpoint("GET", "/account/applications", _list_applications),
    Endpoint("GET", "/account/applications/{id}", _get),
    Endpoint("GET", "/account/applications/{id}/groups", _groups_of),
    Endpoint("GET", "/account/groups", _list_groups),
    Endpoint("GET", "/account/groups/{id}", _get),
    Endpoint("GET", "/account/groups/{id}/applications", _applications_of_group),
    Endpoint("GET", "/account/groups/{id}/roles", _roles_of_group),
    Endpoint("GET", "/account/groups/{id}/users", _users_of_group),
    Endpoint("GET", "/account/roles", _list_roles),
    Endpoint("GET", "/account/roles/{id}", _get),
    Endpoint("GET", "/account/roles/{id}/groups", _groups_of),
    Endpoint("GET", "/account/users", _list_users),
    Endpoint("GET", "/account/permissions", _list_permissions),
)
