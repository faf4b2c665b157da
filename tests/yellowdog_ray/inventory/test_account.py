"""The account as the API key sees it, and which work requirements are clusters."""

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from yellowdog_ray.errors import NotAuthorised, Refused
from yellowdog_ray.inventory.account import Account, cluster_of
from yellowdog_ray.platform.account_types import Application
from yellowdog_ray.platform.types import Placement, TaskGroupView, WorkRequirementView


def work(name, *groups):
    views = tuple(TaskGroupView("g", group, tag, None, None, Placement((), ())) for group, tag in groups)
    return WorkRequirementView("w", name, "RUNNING", False, False, datetime.now(timezone.utc), views)


@pytest.mark.parametrize(
    ("groups", "cluster"),
    [
        ([("head", "demo-head-0a0b0c0d"), ("cpu", "x")], "demo"),
        ([("cpu", "x"), ("head", "demo-head-0a0b0c0d")], None),
        ([("head", "other-head-0a0b0c0d")], None),
        ([("head", "demo-a")], None),
        ([], None),
    ],
)
def test_cluster_has_its_heads_group_first_with_a_tag_of_its_own(groups, cluster):
    assert cluster_of(work("demo", *groups)) == cluster


@pytest.fixture
def account(monkeypatch):
    monkeypatch.setattr("yellowdog_ray.inventory.account.load_credentials", lambda: None)
    monkeypatch.setattr("yellowdog_ray.inventory.account.Platform", lambda *_: SimpleNamespace(namespace=""))
    return Account()


@pytest.mark.parametrize("error", [NotAuthorised("x"), Refused("x")])
def test_application_that_may_not_be_read_has_no_name_and_any_namespace(account, error):
    def refuse():
        raise error

    account.platform.application = refuse

    assert account.application == Application("", "", None)
    assert account.namespaces(None) is None
    assert account.namespaces("team") == ["team"]


def test_client_within_a_namespace_leaves_the_accounts_own_unchanged(account):
    assert account.within("team").namespace == "team"
    assert account.platform.namespace == ""
