from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import NamespaceSearch

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.errors import Conflict, InvalidRequest
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.settings import Settings
from yellowdog_local.state.store import Store


def make(**settings: Any) -> Namespaces:
    return Namespaces(Kernel(SteppedClock(), Settings(**settings), lambda: None), Store(), Ids(seed=1))


@pytest.mark.parametrize("name", ["a", "a-b_9", "a" * 60])
def test_valid_name_is_accepted(name: str) -> None:
    make().check_name("name", name)


@pytest.mark.parametrize("name", ["", "A", "1a", "a-", "a.b", "a" * 61, "a\n"])
def test_invalid_name_is_refused_unless_names_are_not_enforced(name: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a valid name"):
        make().check_name("name", name)
    make(enforce_names=False).check_name("name", name)


def test_use_creates_a_missing_namespace_only_if_set() -> None:
    namespaces = make(auto_create_namespaces=True)
    namespaces.use("demo")
    namespaces.use("demo")
    assert len(namespaces.search(NamespaceSearch())) == 1
    with pytest.raises(Conflict):
        namespaces.create("demo")
    with pytest.raises(InvalidRequest, match="does not exist"):
        make(auto_create_namespaces=False).use("demo")


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ({}, ["aa", "ab"]),
        ({"namespace": "a"}, []),
        ({"namespace": "aa"}, ["aa"]),
        ({"namespaces": ["ab", "b"]}, ["ab"]),
        ({"namespaceContains": "b"}, ["ab"]),
        ({"deletable": False}, []),
        ({"deletable": True}, ["aa", "ab"]),
    ],
)
def test_search_combines_name_part_and_use(search: dict[str, Any], names: list[str]) -> None:
    namespaces = make()
    for name in ("aa", "ab"):
        namespaces.create(name)
    assert [record.entity.namespace for record in namespaces.search(NamespaceSearch(**search))] == names
