from __future__ import annotations

import pytest
from yellowdog_client.model import ApplicationDetails

from yellowdog_local.account.account import Account
from yellowdog_local.errors import NotFound
from yellowdog_local.state.ids import Ids


@pytest.fixture
def account(ids: Ids) -> Account:
    return Account(ids, ApplicationDetails(id="app-1", name="local"))


def test_entities_are_found_by_id(account: Account) -> None:
    assert account.get("app-1") is account.application
    assert account.get(account.group.id or "") is account.group
    assert account.get(account.role.id or "") is account.role
    with pytest.raises(NotFound):
        account.get("app-2")


def test_search_matches_a_part_of_the_name(account: Account) -> None:
    group = account.group
    assert [record.entity for record in account.named(group, None)] == [group]
    assert [record.entity for record in account.named(group, "admin")] == [group]
    assert account.named(group, "users") == []
