"""Routes of the images service."""

from __future__ import annotations

from yellowdog_client.model import MachineImage, MachineImageFamily, MachineImageFamilySearch, MachineImageGroup

from yellowdog_local.api.routing import Call, Endpoint
from yellowdog_local.compute.images import family_summary


def _add_family(call: Call) -> object:
    return call.platform.images.add_family(call.load(MachineImageFamily))


def _update_family(call: Call) -> object:
    return call.platform.images.update_family(call.load(MachineImageFamily))


def _list_families(call: Call) -> object:
    search = call.search(MachineImageFamilySearch)
    families = call.platform.images.search(search)
    # Without parameters the SDK expects all of them, not a slice.
    return call.slice(families, family_summary, search) if call.query else [family_summary(f) for f in families]


def _get_family(call: Call) -> object:
    return call.platform.images.family(call.path["id"])


def _get_family_by_name(call: Call) -> object:
    return call.platform.images.family_by_name(call.path["namespace"], call.path["family"])


def _delete_family(call: Call) -> None:
    call.platform.images.delete_family(call.path["id"])


def _add_group(call: Call) -> object:
    return call.platform.images.add_group(call.path["id"], call.load(MachineImageGroup))


def _update_group(call: Call) -> object:
    return call.platform.images.update_group(call.load(MachineImageGroup))


def _get_group(call: Call) -> object:
    return call.platform.images.group(call.path["id"])


def _get_group_by_name(call: Call) -> object:
    images = call.platform.images
    family = images.family_by_name(call.path["namespace"], call.path["family"])
    return images.group_by_name(family, call.path["group"])


def _get_latest_group(call: Call) -> object:
    images = call.platform.images
    return images.group_by_name(images.family(call.path["id"]), "latest")


def _delete_group(call: Call) -> None:
    call.platform.images.delete_group(call.path["id"])


def _add_image(call: Call) -> object:
    return call.platform.images.add_image(call.path["id"], call.load(MachineImage))


def _update_image(call: Call) -> object:
    return call.platform.images.update_image(call.load(MachineImage))


def _get_image(call: Call) -> object:
    return call.platform.images.image(call.path["id"])


def _delete_image(call: Call) -> None:
    call.platform.images.delete_image(call.path["id"])


ENDPOINTS = (
    Endpoint("POST", "/images/families", _add_family),
    Endpoint("PUT", "/images/families", _update_family),
    Endpoint("GET", "/images/families", _list_families),
    Endpoint("GET", "/images/families/{id}", _get_family),
    Endpoint("DELETE", "/images/families/{id}", _delete_family),
    Endpoint("POST", "/images/families/{id}/groups", _add_group),
    Endpoint("GET", "/images/families/{id}/groups/latest", _get_latest_group),
    Endpoint("PUT", "/images/groups", _update_group),
    Endpoint("GET", "/images/groups/{id}", _get_group),
    Endpoint("DELETE", "/images/groups/{id}", _delete_group),
    Endpoint("POST", "/images/groups/{id}/images", _add_image),
    Endpoint("PUT", "/images/images", _update_image),
    Endpoint("GET", "/images/images/{id}", _get_image),
    Endpoint("DELETE", "/images/images/{id}", _delete_image),
    Endpoint("GET", "/images/namespaces/{namespace}/families/{family}", _get_family_by_name),
    Endpoint("GET", "/images/namespaces/{namespace}/families/{family}/groups/{group}", _get_group_by_name),
)
