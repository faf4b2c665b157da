from __future__ import annotations

import pytest
from yellowdog_client.model import AwsCredential, CreateKeyringRequest, KeyringSearch

from yellowdog_local.account.keyrings import Keyrings
from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.errors import AlreadyExists, NotFound
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.store import Store


@pytest.fixture
def keyrings(kernel: Kernel, store: Store, ids: Ids) -> Keyrings:
    made = Keyrings(kernel, store, ids, Namespaces(kernel, store, ids))
    made.create(CreateKeyringRequest("main"))
    return made


def test_keyring_is_found_by_id_and_name_and_its_name_is_taken(keyrings: Keyrings) -> None:
    keyring = keyrings.get("main")
    assert keyrings.get(keyring.id or "") is keyring
    with pytest.raises(AlreadyExists):
        keyrings.create(CreateKeyringRequest("main"))
    keyrings.delete("main")
    with pytest.raises(NotFound):
        keyrings.get("main")


def test_credential_replaces_one_of_the_same_name_and_its_secret_is_not_stored(keyrings: Keyrings) -> None:
    for description in ("old", "new"):
        keyring = keyrings.put_credential("main", AwsCredential("aws", "key", "hidden", description=description))
    keyrings.put_credential("main", AwsCredential("other", "key", "hidden"))
    assert [(c.name, c.description) for c in keyring.credentials or ()] == [("aws", "new"), ("other", None)]
    assert "hidden" not in repr(keyring)


def test_delete_of_a_credential_leaves_the_others_and_fails_without_it(keyrings: Keyrings) -> None:
    for name in ("a", "b"):
        keyrings.put_credential("main", AwsCredential(name, "key", "hidden"))
    assert [c.name for c in keyrings.delete_credential("main", "a").credentials or ()] == ["b"]
    with pytest.raises(NotFound):
        keyrings.delete_credential("main", "a")


def test_application_is_granted_once(keyrings: Keyrings) -> None:
    for name in ("first", "second"):
        keyring = keyrings.grant("main", "app-1", name)
    assert [(a.accessorId, a.accessorName) for a in keyring.accessors or ()] == [("app-1", "second")]


def test_search_matches_a_part_of_the_name(keyrings: Keyrings) -> None:
    keyrings.create(CreateKeyringRequest("other"))
    assert [r.entity.name for r in keyrings.search(KeyringSearch(name="ai"))] == ["main"]
    assert len(keyrings.search(KeyringSearch())) == 2
