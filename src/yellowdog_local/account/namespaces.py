"""Namespaces, and the rules for names. Reads of a namespace's entities only whether there are any."""

from __future__ import annotations

import re

from yellowdog_client.model import Namespace, NamespaceSearch

from yellowdog_local.errors import Conflict, InvalidRequest, NotFound
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.plain_records import NamespaceRecord
from yellowdog_local.state.settings import NAME_PATTERN
from yellowdog_local.state.store import Store

_NAME = re.compile(NAME_PATTERN)


class Namespaces:
    """The namespaces service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, ids: Ids) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = ids

    def check_name(self, field: str, name: str) -> None:
        """Refuse a name that breaks the naming rules."""
        if self._kernel.settings.enforce_names and not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{field} '{name}' is not a valid name. Use a-z, 0-9, - and _, at most 60 characters; "
                "start with a letter, end with a letter or digit"
            )

    def use(self, namespace: str) -> None:
        """Create a namespace if it does not exist, before an entity is created in it."""
        if namespace in self._store.namespaces:
            return
        if not self._kernel.settings.auto_create_namespaces:
            raise InvalidRequest(f"Namespace '{namespace}' does not exist")
        self.create(namespace)

    def create(self, namespace: str) -> NamespaceRecord:
        """Create a namespace."""
        self.check_name("namespace", namespace)
        if namespace in self._store.namespaces:
            raise Conflict(f"Namespace '{namespace}' already exists")
        record = NamespaceRecord(
            self._kernel.next_sequence(), Namespace(self._ids.new("namespace"), namespace, deletable=True)
        )
        self._store.namespaces[namespace] = record
        return record

    def get(self, namespace_id: str) -> NamespaceRecord:
        """The namespace with this id.

        Raises:
            NotFound: there is none.
        """
        for record in self._store.namespaces.values():
            if record.entity.id == namespace_id:
                return record
        raise NotFound("Namespace", namespace_id)

    def delete(self, namespace_id: str) -> None:
        """Delete an empty namespace."""
        record = self.get(namespace_id)
        if self._store.namespace_in_use(record.entity.namespace):
            raise Conflict(f"Namespace '{record.entity.namespace}' is not empty")
        del self._store.namespaces[record.entity.namespace]

    def search(self, search: NamespaceSearch) -> list[NamespaceRecord]:
        """The namespaces that match a search."""
        return [record for record in self._store.namespaces.values() if _matches(self.view(record), search)]

    def view(self, record: NamespaceRecord) -> Namespace:
        """The namespace as the API returns it."""
        record.entity.deletable = not self._store.namespace_in_use(record.entity.namespace)
        return record.entity


def _matches(entity: Namespace, search: NamespaceSearch) -> bool:
    if search.namespace is not None and entity.namespace != search.namespace:
        return False
    if search.namespaces and entity.namespace not in search.namespaces:
        return False
    if search.namespaceContains is not None and search.namespaceContains not in entity.namespace:
        return False
    return search.deletable is None or entity.deletable == search.deletable
