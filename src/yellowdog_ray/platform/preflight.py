"""Calls that only `raydog doctor` makes: permissions, images, planned sources, namespace policies. They only read."""

from __future__ import annotations

from yellowdog_client.model import (
    Group,
    GroupSummary,
    Keyring,
    MachineImage,
    MachineImageFamily,
    MachineImageGroup,
    NamespacePolicy,
    Role,
)

from yellowdog_ray.errors import NotFound
from yellowdog_ray.platform.account_types import ImageView, KeyringView, SourceView
from yellowdog_ray.platform.calls import platform_call
from yellowdog_ray.platform.compute import ComputeCalls
from yellowdog_ray.platform.errors import malformed
from yellowdog_ray.platform.shapes import entity
from yellowdog_ray.platform.values import first_of, word_of

NEEDED = {
    "WORK_REQUIREMENT_WRITE": "create work requirements, and submit and abort tasks",
    "WORKER_POOL_WRITE": "provision and shut down worker pools",
    "COMPUTE_REQUIREMENT_WRITE": "terminate compute requirements and instances",
}
"""Permissions that a cluster needs, and for what; those to read are tried instead."""

_FAMILY, _GROUP = "ydid:imgfam:", "ydid:imggrp:"
IMAGE_IDS = (_FAMILY, _GROUP, "ydid:image:")
"""The beginnings of the ids of YellowDog's own images; any other is a cloud's."""


class PreflightCalls(ComputeCalls):
    """Calls that show what the platform would do, as far as it reports that without doing it."""

    @platform_call
    def lacking_permissions(self, application_id: str, namespace: str | None) -> list[str]:
        """The needed permissions that no role grants to an application: one call, and one per group and role.

        Args:
            application_id: the application.
            namespace: where they are needed; None for any namespace.
        """
        account, subject = self._client.account_client, "the roles of the key's application"
        with self._sdk(subject):
            groups = account.get_application_groups(application_id)
        granted: set[str] = set()
        for summary in self._items(subject, groups, GroupSummary):
            with self._sdk(subject):
                group = entity(account.get_group(str(summary.id)), Group, subject)
            if group.adminGroup:
                return []
            for held in group.roles or ():
                places = None if held.scope.global_ else [place.namespace for place in held.scope.namespaces or ()]
                if places is None or namespace is None or namespace in places:
                    with self._sdk(subject):
                        role = entity(account.get_role(str(held.role.id)), Role, subject)
                    granted |= {word_of(permission) for permission in role.permissions}
        return [name for name in NEEDED if name not in granted]

    @platform_call
    def planned_sources(self, template: str, image: str | None) -> list[SourceView]:
        """The sources that a template would use for one machine with this image: two calls. Nothing is provisioned."""
        return [_source_view(source) for source in self._planned(template, image)]

    @platform_call
    def image(self, image_id: str) -> ImageView:
        """An image, a group or a family of images of YellowDog, by its id: one call.

        Raises:
            NotFound: there is none with this id that the key may read.
        """
        images, subject = self._client.images_client, f"image '{image_id}'"
        found: object
        with self._sdk(subject):
            if image_id.startswith(_FAMILY):
                found = images.get_image_family_by_id(image_id)
            elif image_id.startswith(_GROUP):
                found = images.get_image_group_by_id(image_id)
            else:
                found = images.get_image(image_id)
        if not isinstance(found, MachineImageFamily | MachineImageGroup | MachineImage):
            raise malformed(f"{subject}: {type(found).__name__} in place of an image")
        return ImageView(str(found.name), word_of(found.osType))

    @platform_call
    def keyring(self, name: str) -> KeyringView:
        """A keyring, which must exist; not the secrets in it: one call."""
        subject = f"keyring '{name}'"
        with self._sdk(subject):
            found = self._client.keyring_client.get_keyring(name)
        keyring = entity(found, Keyring, subject)
        accessors = keyring.accessors
        return KeyringView(
            frozenset(str(each.name) for each in keyring.credentials or ()),
            None if accessors is None else frozenset(str(each.accessorId) for each in accessors),
        )

    @platform_call
    def most_nodes(self, namespace: str) -> int | None:
        """The number of platform nodes to which a namespace's pools may scale up; None for no limit: one call."""
        subject = f"the policy of namespace '{namespace}'"
        try:
            with self._sdk(subject):
                found = self._client.namespaces_client.get_namespace_policy(namespace)
        except NotFound:
            return None
        return entity(found, NamespacePolicy, subject).autoscalingMaxNodes


def _source_view(source: object) -> SourceView:
    limit = getattr(source, "limit", None)
    return SourceView(
        first_of(source, "name") or "",
        first_of(source, "region"),
        first_of(source, "instanceType"),
        first_of(source, "imageId"),
        limit=limit if isinstance(limit, int) and limit > 0 else None,
        credential=first_of(source, "credential"),
    )
