"""Calls of `raydog doctor`: permissions by roles and their scopes, and odd answers."""

import pytest
from yellowdog_client.model import (
    GrantedPermissionScope,
    Group,
    GroupRole,
    GroupSummary,
    Keyring,
    KeyringAccessor,
    KeyringCredential,
    NamespacePolicy,
    NamespaceRef,
    Permission,
    Role,
    RoleSummary,
)

from tests.yellowdog_ray.platform.fake_sdk import Search, calls_of
from yellowdog_ray.errors import MalformedResponse, NotFound
from yellowdog_ray.platform.preflight import NEEDED, PreflightCalls

EVERYWHERE = GrantedPermissionScope(global_=True)
IN_TEAM = GrantedPermissionScope(namespaces=[NamespaceRef("ydid:namespace:1", "team")])
ALL = [Permission[name] for name in NEEDED]


def lacking(namespace, scope, permissions, *, admin=False):
    role = Role("some", permissions)
    group = Group("some", roles=[GroupRole(RoleSummary("r", "some"), scope)], adminGroup=admin)
    account = {
        "get_application_groups": lambda _: Search(GroupSummary("g", "some", None, adminGroup=admin)),
        "get_group": lambda _: group,
        "get_role": lambda _: role,
    }
    return calls_of(PreflightCalls, account_client=account).lacking_permissions("app", namespace)


@pytest.mark.parametrize(
    ("namespace", "scope", "is_granted"),
    [
        ("team", EVERYWHERE, True),
        ("team", IN_TEAM, True),
        ("other", IN_TEAM, False),
        (None, IN_TEAM, True),
        ("team", GrantedPermissionScope(), False),
    ],
)
def test_role_counts_where_it_is_granted(namespace, scope, is_granted):
    assert lacking(namespace, scope, ALL) == ([] if is_granted else list(NEEDED))


def test_only_missing_permissions_are_lacking():
    assert lacking("team", EVERYWHERE, ALL[1:]) == list(NEEDED)[:1]


def test_group_of_administrators_has_every_permission():
    assert lacking("team", EVERYWHERE, [], admin=True) == []


def test_group_without_roles_grants_nothing():
    account = {
        "get_application_groups": lambda _: Search(GroupSummary("g", "some", None, adminGroup=False)),
        "get_group": lambda _: Group("some"),
    }

    assert calls_of(PreflightCalls, account_client=account).lacking_permissions("app", None) == list(NEEDED)


@pytest.mark.parametrize("accessors", [None, [KeyringAccessor("app")]])
def test_keyring_has_names_and_accessors(accessors):
    found = Keyring("id", "k", credentials=[KeyringCredential("main")], accessors=accessors)
    calls = calls_of(PreflightCalls, keyring_client={"get_keyring": lambda _: found})

    keyring = calls.keyring("k")

    assert keyring.credentials == {"main"}
    assert keyring.accessors == (None if accessors is None else {"app"})


def test_image_of_another_shape_is_malformed():
    calls = calls_of(PreflightCalls, images_client={"get_image": lambda _: {"name": "x"}})

    with pytest.raises(MalformedResponse, match="dict in place of an image"):
        calls.image("ydid:image:1")


def missing(_):
    raise NotFound("no policy")


@pytest.mark.parametrize(
    ("policy", "most"), [(missing, None), (lambda _: NamespacePolicy("team", autoscalingMaxNodes=3), 3)]
)
def test_namespace_without_a_policy_has_no_limit(policy, most):
    calls = calls_of(PreflightCalls, namespaces_client={"get_namespace_policy": policy})

    assert calls.most_nodes("team") == most
