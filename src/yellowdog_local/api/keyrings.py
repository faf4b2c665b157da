"""Routes of the keyrings service."""

from __future__ import annotations

from yellowdog_client.model import (
    CreateKeyringRequest,
    Credential,
    GrantApplicationAccessRequest,
    KeyringSearch,
    UpdateKeyringRequest,
)

from yellowdog_local.account.keyrings import keyring_summary
from yellowdog_local.api.routing import Call, Endpoint


def _list(call: Call) -> object:
    search = call.search(KeyringSearch)
    return call.slice_or_list(call.platform.keyrings.search(search), keyring_summary, search)


def _create(call: Call) -> object:
    return call.platform.keyrings.create(call.load(CreateKeyringRequest))


def _get(call: Call) -> object:
    return call.platform.keyrings.get(call.path["id"])


def _update(call: Call) -> object:
    return call.platform.keyrings.describe(call.path["id"], call.load(UpdateKeyringRequest).description)


def _delete(call: Call) -> None:
    call.platform.keyrings.delete(call.path["id"])


def _put_credential(call: Call) -> object:
    return call.platform.keyrings.put_credential(call.path["id"], call.load(Credential))


def _delete_credential(call: Call) -> object:
    return call.platform.keyrings.delete_credential(call.path["id"], call.path["credential"])


def _grant(call: Call) -> object:
    call.load(GrantApplicationAccessRequest)
    application = call.platform.account.get(call.path["application"])
    return call.platform.keyrings.grant(call.path["id"], application.id, application.name)


ENDPOINTS = (
    Endpoint("GET", "/keyrings", _list),
    Endpoint("POST", "/keyrings", _create),
    Endpoint("GET", "/keyrings/{id}", _get),
    Endpoint("PUT", "/keyrings/{id}", _update),
    Endpoint("DELETE", "/keyrings/{id}", _delete),
    Endpoint("PUT", "/keyrings/{id}/credentials", _put_credential),
    Endpoint("DELETE", "/keyrings/{id}/credentials/{credential}", _delete_credential),
    Endpoint("PUT", "/keyrings/{id}/access/applications/{application}", _grant),
)
