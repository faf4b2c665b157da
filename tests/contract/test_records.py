"""Entities without behaviour over the SDK: images, keyrings, allowances, the account."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AccountAllowance,
    Allowance,
    AllowanceLimitEnforcement,
    AllowanceResetType,
    AllowanceSearch,
    ApiKey,
    ApplicationSearch,
    AwsCredential,
    CloudProvider,
    GroupSearch,
    ImageAccess,
    ImageOsType,
    InstanceStatus,
    IntegerRange,
    KeyringSearch,
    MachineImage,
    MachineImageFamily,
    MachineImageFamilySearch,
    MachineImageGroup,
    RequirementAllowance,
    RequirementsAllowance,
    RoleSearch,
    SourceAllowance,
    SourcesAllowance,
    UpdateKeyringRequest,
    UserSearch,
)
from yellowdog_client.model.exceptions import InvalidRequestException

from yellowdog_local.testing import RunningPlatform


def family(client: PlatformClient, name: str = "ubuntu") -> MachineImageFamily:
    image = MachineImage("img", CloudProvider.AWS, "ami-1", ImageOsType.LINUX, regions=["eu-west-1"])
    group = MachineImageGroup("v1", ImageOsType.LINUX, images=[image])
    return client.images_client.add_image_family(
        MachineImageFamily("demo", name, ImageOsType.LINUX, imageGroups=[group])
    )


def test_image_family_is_stored_with_its_groups_and_images(client: PlatformClient) -> None:
    images, made = client.images_client, family(client)
    (group,) = made.imageGroups
    (image,) = group.images
    assert made.id.startswith("ydid:imgfam:")
    assert group.id.startswith(made.id.replace("imgfam", "imggrp"))
    assert images.get_image(image.id).providerImageId == "ami-1"
    second = images.add_image_group(made, MachineImageGroup("v2", ImageOsType.LINUX))
    assert images.get_latest_image_group_by_family_name("demo", "ubuntu").id == second.id
    assert images.get_latest_image_group_by_family_id(made.id).name == "v2"
    assert images.get_image_group_by_name("demo", "ubuntu", "v1").id == group.id
    image.providerImageId = "ami-2"
    images.update_image(image)
    assert images.get_image_group_by_id(group.id).images[0].providerImageId == "ami-2"
    images.delete_image(image)
    images.delete_image_group(second)
    kept = images.get_image_family_by_name("demo", "ubuntu")
    assert [(g.name, g.images) for g in kept.imageGroups] == [("v1", [])]
    images.delete_image_family(kept)
    with pytest.raises(requests.HTTPError, match="NotFoundException"):
        images.get_image_family_by_id(made.id)


def test_image_families_are_searched_by_their_images(client: PlatformClient) -> None:
    family(client)
    family(client, "other")
    images = client.images_client
    everything = MachineImageFamilySearch(includePublic=True)
    assert [f.name for f in images.get_image_families(everything).list_all()] == ["ubuntu", "other"]
    by_name = MachineImageFamilySearch(familyName="ubu", namespaces=["demo"], providers=[CloudProvider.AWS])
    (found,) = images.get_image_families(by_name).list_all()
    assert (found.name, found.osType, found.owned) == ("ubuntu", ImageOsType.LINUX, True)
    elsewhere = MachineImageFamilySearch(regions=["us-east-1"])
    assert images.get_image_families(elsewhere).list_all() == []


def test_keyring_lists_credentials_without_secrets(local: RunningPlatform, client: PlatformClient) -> None:
    keyrings = client.keyring_client
    made = keyrings.add_keyring("ring", "mine")
    assert made.keyringPassword
    keyring = keyrings.put_credential_by_name("ring", AwsCredential("aws", "id", "the-secret"))
    (credential,) = keyring.credentials
    assert (credential.name, credential.type.rpartition(".")[2]) == ("aws", "AwsCredential")
    assert "the-secret" not in repr(vars(local.platform.store))
    details = client.application_client.get_application_details()
    key = ApiKey(local.key_id, local.key_secret)
    (accessor,) = keyrings.grant_application_access_to_keyring("ring", details.id, key).accessors
    assert (accessor.accessorId, accessor.accessorName) == (details.id, "local")
    (summary,) = keyrings.get_keyrings(KeyringSearch(name="ri")).list_all()
    assert (summary.id, summary.description) == (keyring.id, "mine")
    assert keyrings.get_keyring(keyring.id).credentials[0].name == "aws"
    assert keyrings.delete_credential_by_name("ring", "aws").credentials == []
    keyrings.delete_keyring_by_name("ring")
    assert keyrings.get_keyrings(KeyringSearch()).list_all() == []


def test_allowance_is_stored_boosted_found_and_deleted(client: PlatformClient) -> None:
    allowances = client.allowances_client
    made = allowances.add_allowance(
        AccountAllowance(
            effectiveFrom=datetime(2026, 1, 1, tzinfo=timezone.utc),
            resetType=AllowanceResetType.NONE,
            limitEnforcement=AllowanceLimitEnforcement.SOFT,
            monitoredStatuses=[InstanceStatus.RUNNING],
            description="all of it",
            allowedHours=10,
        )
    )
    assert isinstance(made, AccountAllowance)
    assert (made.id.startswith("ydid:allow:"), made.remainingHours) == (True, 10.0)
    boosted = allowances.boost_allowance_by_id(made.id, 5)
    assert (boosted.boostHours, boosted.remainingHours) == (5, 15.0)
    search = AllowanceSearch(description="of", allowedHours=IntegerRange(min=10, max=10))
    assert [a.id for a in allowances.get_allowances(search).list_all()] == [made.id]
    assert allowances.get_allowances(AllowanceSearch(allowedHours=IntegerRange(min=11))).list_all() == []
    allowances.delete_allowance_by_id(made.id)
    assert allowances.get_allowances(AllowanceSearch()).list_all() == []


def allowance(kind: type[Allowance] = AccountAllowance, **fields: Any) -> Allowance:
    return kind(
        effectiveFrom=datetime(2026, 1, 1, tzinfo=timezone.utc),
        resetType=AllowanceResetType.NONE,
        limitEnforcement=AllowanceLimitEnforcement.SOFT,
        monitoredStatuses=[InstanceStatus.RUNNING],
        **{"allowedHours": 10, **fields},
    )


def test_allowance_names_its_creator(client: PlatformClient) -> None:
    made = client.allowances_client.add_allowance(allowance())
    creator = client.application_client.get_application_details().id
    assert creator
    assert made.createdById == creator
    assert client.allowances_client.get_allowance_by_id(made.id).createdById == creator


@pytest.mark.parametrize("hours", [0, -1, 2**31])
def test_allowance_is_refused_when_its_hours_are_out_of_range(client: PlatformClient, hours: int) -> None:
    with pytest.raises(InvalidRequestException, match="allowedHours must be between 1 and 2147483647"):
        client.allowances_client.add_allowance(allowance(allowedHours=hours))
    assert client.allowances_client.get_allowances(AllowanceSearch()).list_all() == []


@pytest.mark.parametrize("hours", [0, 2**31 - 5, 10**20])
def test_boost_is_refused_when_its_hours_are_out_of_range(client: PlatformClient, hours: int) -> None:
    made = client.allowances_client.add_allowance(allowance())
    client.allowances_client.boost_allowance_by_id(made.id, 5)
    with pytest.raises(InvalidRequestException, match="ours must be between 1 and 2147483647"):
        client.allowances_client.boost_allowance_by_id(made.id, hours)
    assert client.allowances_client.get_allowance_by_id(made.id).remainingHours == 15


@pytest.mark.parametrize(
    ("kind", "empty", "scope"),
    [
        (RequirementAllowance, {"requirementId": ""}, {"requirementId": "ydid:compreq:0:x"}),
        (SourceAllowance, {"sourceId": ""}, {"sourceId": "ydid:compsrc:0:x"}),
        (RequirementsAllowance, {}, {"namespace": "demo"}),
        (RequirementsAllowance, {"tag": ""}, {"tag": "daily"}),
        (SourcesAllowance, {"regions": []}, {"regions": ["eu-west-2"]}),
        (SourcesAllowance, {}, {"provider": CloudProvider.AWS}),
    ],
)
def test_allowance_is_refused_without_a_scope(
    client: PlatformClient, kind: type[Allowance], empty: dict[str, Any], scope: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequestException, match=f"{kind.__name__} needs a scope: set "):
        client.allowances_client.add_allowance(allowance(kind, **empty))
    assert type(client.allowances_client.add_allowance(allowance(kind, **scope))) is kind


def test_account_has_one_application_with_all_permissions(client: PlatformClient) -> None:
    account = client.account_client
    details = client.application_client.get_application_details()
    (application,) = account.get_applications(ApplicationSearch()).list_all()
    assert (application.id, application.name) == (details.id, "local")
    (summary,) = account.get_application_groups(application.id).list_all()
    (granted,) = account.get_group(summary.id).roles
    assert (granted.role.name, granted.scope.global_) == ("administrator", True)
    (role,) = account.get_roles(RoleSearch(name="admin")).list_all()
    assert {permission.name for permission in role.permissions} == {p.name for p in account.list_permissions()}


def test_account_entities_are_read_by_id_and_refer_to_each_other(client: PlatformClient) -> None:
    account = client.account_client
    details = client.application_client.get_application_details()
    application = account.get_application(details.id)
    assert (application.id, application.name) == (details.id, details.name)
    (group,) = account.get_groups(GroupSearch(name="admin")).list_all()
    assert (group.name, group.adminGroup) == ("administrators", True)
    assert account.get_group_applications(group.id).list_all() == [application]
    assert account.get_group_users(group.id).list_all() == []
    (role,) = account.get_group_roles(group.id).list_all()
    assert (account.get_role(role.id), role.name) == (role, "administrator")
    assert [found.id for found in account.get_role_groups(role.id).list_all()] == [group.id]
    assert account.get_groups(GroupSearch(name="nobody")).list_all() == []
    assert account.get_users(UserSearch()).list_all() == []


def test_image_families_and_groups_are_updated(client: PlatformClient) -> None:
    images, made = client.images_client, family(client)
    (group,) = made.imageGroups
    added = images.add_image(group, MachineImage("two", CloudProvider.GOOGLE, "gce-1", ImageOsType.LINUX))
    assert (added.name, added.provider) == ("two", CloudProvider.GOOGLE)
    group = images.get_image_group_by_id(group.id)
    assert [image.name for image in group.images] == ["img", "two"]
    group.metadataSpecification = {"a": "b"}
    assert images.update_image_group(group).metadataSpecification == {"a": "b"}
    made = images.get_image_family_by_id(made.id)
    made.access = ImageAccess.PUBLIC
    assert images.update_image_family(made).access is ImageAccess.PUBLIC
    kept = images.get_image_family_by_name("demo", "ubuntu")
    assert (kept.access, kept.imageGroups[0].metadataSpecification) == (ImageAccess.PUBLIC, {"a": "b"})
    # The client has no method for the list without slices; the proxy below it has.
    (listed,) = images._ImagesClientImpl__service_proxy.get_all_image_families()  # type: ignore[attr-defined]
    assert (listed.id, listed.access) == (made.id, ImageAccess.PUBLIC)


def test_keyring_description_is_updated(client: PlatformClient) -> None:
    made = client.keyring_client.add_keyring("ring", "mine").keyring
    assert client.keyring_client.update_keyring(made.id, UpdateKeyringRequest("ours")).description == "ours"
    assert client.keyring_client.get_keyring(made.id).description == "ours"
