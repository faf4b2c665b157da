from __future__ import annotations

import pytest
from yellowdog_client.model import StringAttributeDefinition

from yellowdog_local.compute.attributes import Attributes
from yellowdog_local.errors import InvalidRequest, NotFound
from yellowdog_local.state.store import Store


@pytest.fixture
def attributes(store: Store) -> Attributes:
    return Attributes(store)


def test_definitions_are_listed_by_name(attributes: Attributes) -> None:
    for name in ("user.b", "user.a"):
        attributes.add(StringAttributeDefinition(name, "A title"))
    assert [definition.name for definition in attributes.all()] == ["user.a", "user.b"]


def test_definition_is_refused_without_a_name_or_with_a_taken_one(attributes: Attributes) -> None:
    with pytest.raises(InvalidRequest, match="name must be set"):
        attributes.add(StringAttributeDefinition("", "A title"))
    attributes.add(StringAttributeDefinition("user.a", "A title"))
    with pytest.raises(InvalidRequest, match="already exists"):
        attributes.add(StringAttributeDefinition("user.a", "Another"))


def test_update_and_delete_fail_without_the_definition(attributes: Attributes) -> None:
    with pytest.raises(NotFound):
        attributes.update(StringAttributeDefinition("user.a", "A title"))
    assert attributes.all() == []
    with pytest.raises(NotFound):
        attributes.delete("user.a")


def test_update_replaces_the_definition(attributes: Attributes) -> None:
    attributes.add(StringAttributeDefinition("user.a", "Old"))
    attributes.update(StringAttributeDefinition("user.a", "New"))
    assert [definition.title for definition in attributes.all()] == ["New"]
