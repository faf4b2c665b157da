from __future__ import annotations

import pytest
from yellowdog_client.model import (
    CloudProvider,
    ImageOsType,
    MachineImage,
    MachineImageFamily,
    MachineImageFamilySearch,
    MachineImageGroup,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.compute.images import Images
from yellowdog_local.errors import AlreadyExists, NotFound
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.store import Store

LINUX = ImageOsType.LINUX


@pytest.fixture
def images(kernel: Kernel, store: Store, ids: Ids) -> Images:
    return Images(kernel, store, ids, Namespaces(kernel, store, ids))


def image(name: str) -> MachineImage:
    return MachineImage(name, CloudProvider.AWS, "ami-1", LINUX)


@pytest.fixture
def family(images: Images) -> MachineImageFamily:
    groups = [MachineImageGroup("v1", LINUX, images=[image("a"), image("b")]), MachineImageGroup("v2", LINUX)]
    return images.add_family(MachineImageFamily("demo", "ubuntu", LINUX, imageGroups=groups))


def group(images: Images, family: MachineImageFamily, name: str) -> MachineImageGroup:
    return images.group_by_name(family, name)


def test_family_is_added_with_ids_for_its_groups_and_images(images: Images, family: MachineImageFamily) -> None:
    first = group(images, family, "v1")
    assert [g.name for g in family.imageGroups or ()] == ["v1", "v2"]
    assert [i.name for i in first.images or ()] == ["a", "b"]
    assert images.group(first.id or "") is first
    for member in first.images or ():
        assert images.image(member.id or "") is member
    assert images.family_by_name("demo", "ubuntu") is images.family(family.id or "") is family


def test_name_of_a_family_or_group_is_taken_in_its_parent_only(images: Images, family: MachineImageFamily) -> None:
    with pytest.raises(AlreadyExists):
        images.add_family(MachineImageFamily("demo", "ubuntu", LINUX))
    with pytest.raises(AlreadyExists):
        images.add_group(family.id or "", MachineImageGroup("v1", LINUX))
    other = images.add_family(MachineImageFamily("other", "ubuntu", LINUX))
    assert images.add_group(other.id or "", MachineImageGroup("v1", LINUX)).id
    assert len(images.search(MachineImageFamilySearch())) == 2


def test_latest_group_is_the_newest(images: Images, family: MachineImageFamily) -> None:
    assert group(images, family, "latest").name == "v2"
    images.delete_group(group(images, family, "v2").id or "")
    assert group(images, family, "latest").name == "v1"
    images.delete_group(group(images, family, "v1").id or "")
    with pytest.raises(NotFound):
        group(images, family, "latest")


def test_update_keeps_what_the_entity_contains(images: Images, family: MachineImageFamily) -> None:
    changed = MachineImageFamily("demo", "ubuntu", ImageOsType.WINDOWS)
    changed.id = family.id
    assert images.update_family(changed) is family
    assert (family.osType, len(family.imageGroups or ())) == (ImageOsType.WINDOWS, 2)
    renamed = MachineImageGroup("v3", LINUX)
    renamed.id = group(images, family, "v1").id
    images.update_group(renamed)
    assert len(group(images, family, "v3").images or ()) == 2


def test_updated_image_keeps_its_place_and_creation_time(images: Images, family: MachineImageFamily) -> None:
    first = group(images, family, "v1")
    before = (first.images or [])[0]
    changed = image("c")
    changed.id = before.id
    images.update_image(changed)
    assert [i.name for i in first.images or ()] == ["c", "b"]
    assert changed.createdTime == before.createdTime is not None


def test_deleted_image_and_family_are_not_found(images: Images, family: MachineImageFamily) -> None:
    first = group(images, family, "v1")
    deleted = (first.images or [])[0].id or ""
    images.delete_image(deleted)
    assert [i.name for i in first.images or ()] == ["b"]
    images.delete_family(family.id or "")
    for call in (lambda: images.image(deleted), lambda: images.family_by_name("demo", "ubuntu")):
        with pytest.raises(NotFound):
            call()
