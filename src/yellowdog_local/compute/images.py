"""Machine image families, their groups and images, as records only: no instance boots from them."""

from __future__ import annotations

from collections.abc import Iterator

from yellowdog_client.model import (
    MachineImage,
    MachineImageFamily,
    MachineImageFamilySearch,
    MachineImageFamilySummary,
    MachineImageGroup,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.errors import AlreadyExists, NotFound
from yellowdog_local.state import ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.plain_records import FamilyRecord
from yellowdog_local.state.search import image_family_matches
from yellowdog_local.state.store import Store, found


class Images:
    """The images service. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, id_maker: ids.Ids, namespaces: Namespaces) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._namespaces = namespaces

    def add_family(self, entity: MachineImageFamily) -> MachineImageFamily:
        """Add a family with its groups and images."""
        self._namespaces.check_name("name", entity.name)
        if any((f.entity.namespace, f.entity.name) == (entity.namespace, entity.name) for f in self._families()):
            raise AlreadyExists("Machine image family", entity.namespace, entity.name)
        self._namespaces.use(entity.namespace)
        entity.id, entity.createdTime = self._ids.new("imgfam"), self._kernel.now()
        record = FamilyRecord(self._kernel.next_sequence(), entity)
        self._store.image_families[entity.id] = record
        groups, entity.imageGroups = entity.imageGroups or [], []
        for group in groups:
            self.add_group(entity.id, group)
        return entity

    def update_family(self, entity: MachineImageFamily) -> MachineImageFamily:
        """Update a family's own fields; its groups stay."""
        known = self.family(entity.id or "")
        known.osType, known.access = entity.osType, entity.access
        known.metadataSpecification = entity.metadataSpecification
        return known

    def family(self, family_id: str) -> MachineImageFamily:
        """The family of that id."""
        return found("Machine image family", family_id, self._store.image_families.get(family_id)).entity

    def family_by_name(self, namespace: str, name: str) -> MachineImageFamily:
        """The family of that name."""
        for record in self._families():
            if (record.entity.namespace, record.entity.name) == (namespace, name):
                return record.entity
        raise NotFound("Machine image family", f"{namespace}/{name}")

    def delete_family(self, family_id: str) -> None:
        """Delete a family with all its groups and images."""
        self.family(family_id)
        del self._store.image_families[family_id]

    def add_group(self, family_id: str, entity: MachineImageGroup) -> MachineImageGroup:
        """Add a group with its images to a family."""
        family = self.family(family_id)
        if any(group.name == entity.name for group in family.imageGroups or ()):
            raise AlreadyExists("Machine image group", family.namespace, entity.name)
        entity.id = ids.child("imggrp", family_id, self._kernel.next_sequence())
        entity.createdTime = self._kernel.now()
        images, entity.images = entity.images or [], []
        family.imageGroups = [*(family.imageGroups or ()), entity]
        for image in images:
            self.add_image(entity.id, image)
        return entity

    def update_group(self, entity: MachineImageGroup) -> MachineImageGroup:
        """Update a group's own fields; its images stay."""
        known = self.group(entity.id or "")
        known.name, known.osType = entity.name, entity.osType
        known.metadataSpecification = entity.metadataSpecification
        return known

    def group(self, group_id: str) -> MachineImageGroup:
        """The group of that id."""
        group = next((group for _, group in self._groups() if group.id == group_id), None)
        return found("Machine image group", group_id, group)

    def group_by_name(self, family: MachineImageFamily, name: str) -> MachineImageGroup:
        """The group of that name in a family; `latest` is the newest one."""
        groups = family.imageGroups or []
        if name == "latest":
            return found("Machine image group", f"{family.name}/latest", groups[-1] if groups else None)
        matching = next((group for group in groups if group.name == name), None)
        return found("Machine image group", f"{family.name}/{name}", matching)

    def delete_group(self, group_id: str) -> None:
        """Delete a group with all its images."""
        self.group(group_id)
        for family, group in list(self._groups()):
            if group.id == group_id:
                family.imageGroups = [other for other in family.imageGroups or () if other is not group]

    def add_image(self, group_id: str, entity: MachineImage) -> MachineImage:
        """Add an image to a group."""
        group = self.group(group_id)
        entity.id = ids.child("image", group_id, self._kernel.next_sequence())
        entity.createdTime = self._kernel.now()
        group.images = [*(group.images or ()), entity]
        return entity

    def update_image(self, entity: MachineImage) -> MachineImage:
        """Replace an image."""
        group, known = self._image(entity.id or "")
        entity.createdTime = known.createdTime
        group.images = [entity if image is known else image for image in group.images or ()]
        return entity

    def image(self, image_id: str) -> MachineImage:
        """The image of that id."""
        return self._image(image_id)[1]

    def delete_image(self, image_id: str) -> None:
        """Delete an image."""
        group, known = self._image(image_id)
        group.images = [image for image in group.images or () if image is not known]

    def search(self, wanted: MachineImageFamilySearch) -> list[FamilyRecord]:
        """The families that match a search."""
        return [record for record in self._families() if image_family_matches(record.entity, wanted)]

    def _families(self) -> list[FamilyRecord]:
        return list(self._store.image_families.values())

    def _groups(self) -> Iterator[tuple[MachineImageFamily, MachineImageGroup]]:
        for record in self._families():
            for group in record.entity.imageGroups or ():
                yield record.entity, group

    def _image(self, image_id: str) -> tuple[MachineImageGroup, MachineImage]:
        for _, group in self._groups():
            for image in group.images or ():
                if image.id == image_id:
                    return group, image
        raise NotFound("Machine image", image_id)


def family_summary(record: FamilyRecord) -> MachineImageFamilySummary:
    """A family as lists show it."""
    entity = record.entity
    return MachineImageFamilySummary(
        id=entity.id,
        namespace=entity.namespace,
        name=entity.name,
        createdTime=entity.createdTime,
        access=entity.access,
        osType=entity.osType,
        owned=True,
    )
