"""A page of a list of which the SDK cannot convert every item."""

import json

import pytest
from yellowdog_client.model import ComputeRequirement, WorkerPoolSummary, WorkRequirementStatus, WorkRequirementSummary

from yellowdog_ray.platform.salvage import salvage

GOOD = {"id": "w-1", "name": "good", "namespace": "demo", "status": "RUNNING", "createdTime": "2026-01-02T00:00:00Z"}
ODD = {"id": "w-2", "name": "odd", "namespace": "demo", "status": "ARCHIVED", "tag": "t"}


def test_items_beside_one_with_a_new_status_are_whole():
    page = salvage({"items": [GOOD, ODD], "nextSliceId": "2"}, WorkRequirementSummary)

    good, odd = page.items
    assert (good.status, good.createdTime is None) == (WorkRequirementStatus.RUNNING, False)
    assert (odd.id, odd.name, odd.namespace, odd.tag, odd.status) == ("w-2", "odd", "demo", "t", "ARCHIVED")
    assert odd.createdTime is None
    assert page.nextSliceId == "2"


@pytest.mark.parametrize(
    "page",
    [None, [], "x", {}, {"items": 3}, {"items": [None]}, {"items": [{}]}, {"items": [GOOD, {**ODD, "name": 5}]}],
)
def test_json_without_identified_items_is_no_page(page):
    assert salvage(page, WorkRequirementSummary) is None


@pytest.mark.parametrize(
    ("call", "read"),
    [
        ("all_work", lambda platform: platform.all_work(["demo"])),
        ("live_pools", lambda platform: platform.live_pools(["demo"])),
        ("live_computes", lambda platform: platform.live_computes(["demo"])),
        ("work_requirements", lambda platform: platform.work_requirements("o", finished=True)),
    ],
)
def test_list_has_the_entry_with_a_new_status_as_an_unfinished_one(platform, respond, caplog, call, read):
    respond(json.dumps({"items": [ODD]}).encode())

    (entry,) = read(platform)

    assert (entry.id, entry.name, entry.finished, entry.created) == ("w-2", "odd", False, None)
    assert "ARCHIVED" in caplog.text


@pytest.mark.parametrize("kind", [WorkerPoolSummary, ComputeRequirement])
def test_item_of_every_kind_has_all_its_attributes(kind):
    (item,) = salvage({"items": [{**ODD, "createdTime": "soon"}]}, kind).items

    assert item.createdTime is None
    assert item.statusChangedTime is None
