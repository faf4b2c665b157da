"""Keyrings: their names, the names of their credentials, their users. Stores no secrets.

Compute sources of the local platform need no credentials: a keyring's credentials are only listed.
"""

from __future__ import annotations

import secrets

from yellowdog_client.model import (
    CreateKeyringRequest,
    CreateKeyringResponse,
    Credential,
    Keyring,
    KeyringAccessor,
    KeyringCredential,
    KeyringSearch,
    KeyringSummary,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.errors import AlreadyExists, NotFound
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.plain_records import KeyringRecord
from yellowdog_local.state.store import Store


class Keyrings:
    """The keyrings service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, ids: Ids, namespaces: Namespaces) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = ids
        self._namespaces = namespaces

    def create(self, request: CreateKeyringRequest) -> CreateKeyringResponse:
        """Create an empty keyring; its password is returned once and not stored."""
        self._namespaces.check_name("name", request.name)
        if any(record.entity.name == request.name for record in self._store.keyrings.values()):
            raise AlreadyExists("Keyring", "", request.name)
        entity = Keyring(self._ids.new("keyring"), request.name, request.description, credentials=[], accessors=[])
        self._store.keyrings[entity.id or ""] = KeyringRecord(self._kernel.next_sequence(), entity)
        return CreateKeyringResponse(entity, secrets.token_urlsafe(16))

    def get(self, id_or_name: str) -> Keyring:
        """The keyring with this id or name.

        Raises:
            NotFound: there is none.
        """
        for record in self._store.keyrings.values():
            if id_or_name in (record.entity.id, record.entity.name):
                return record.entity
        raise NotFound("Keyring", id_or_name)

    def describe(self, id_or_name: str, description: str | None) -> Keyring:
        """Change the description of a keyring."""
        keyring = self.get(id_or_name)
        keyring.description = description
        return keyring

    def delete(self, id_or_name: str) -> None:
        """Delete a keyring."""
        del self._store.keyrings[self.get(id_or_name).id or ""]

    def put_credential(self, id_or_name: str, credential: Credential) -> Keyring:
        """Add a credential to a keyring, in the place of one of the same name."""
        keyring = self.get(id_or_name)
        others = [known for known in keyring.credentials or () if known.name != credential.name]
        kept = KeyringCredential(credential.name, credential.description, credential.type)
        keyring.credentials = [*others, kept]
        return keyring

    def delete_credential(self, id_or_name: str, name: str) -> Keyring:
        """Delete a credential of a keyring."""
        keyring = self.get(id_or_name)
        others = [known for known in keyring.credentials or () if known.name != name]
        if len(others) == len(keyring.credentials or ()):
            raise NotFound("Credential", name)
        keyring.credentials = others
        return keyring

    def grant(self, id_or_name: str, application_id: str, application_name: str | None) -> Keyring:
        """Let an application use a keyring."""
        keyring = self.get(id_or_name)
        others = [known for known in keyring.accessors or () if known.accessorId != application_id]
        keyring.accessors = [*others, KeyringAccessor(application_id, "APPLICATION", application_name)]
        return keyring

    def search(self, wanted: KeyringSearch) -> list[KeyringRecord]:
        """The keyrings that match a search."""
        return [
            record
            for record in self._store.keyrings.values()
            if wanted.name is None or wanted.name in (record.entity.name or "")
        ]


def keyring_summary(record: KeyringRecord) -> KeyringSummary:
    """The summary of a keyring, for lists."""
    return KeyringSummary(record.entity.id, record.entity.name, record.entity.description)
