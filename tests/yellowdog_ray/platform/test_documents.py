"""Texts on the platform: found by their exact tag, read as they were written."""

from datetime import timedelta

from tests.yellowdog_ray.cluster_lab import head_up
from yellowdog_ray.names import new_state_name

TAG = "demo-info-0a0b0c0d"


def test_documents_are_found_by_exact_name_tag_and_time(local, make_cluster):
    platform = make_cluster().platform
    first = platform.create_document(new_state_name("0a0b0c0d"), TAG, "1")
    local.advance(100)
    second = platform.create_document(new_state_name("0a0b0c0d"), TAG, "2")
    platform.create_document("strangers-first", TAG, "3")
    platform.create_document("head-info-0a0b0c0d-nightly", TAG, "3")
    platform.create_document(new_state_name("0a0b0c0d"), f"x{TAG}", "3")
    platform.cancel_work_requirement(first)
    local.advance(1)

    now = platform.clock.now()
    assert {entry.id for entry in platform.documents(TAG)} == {first, second}
    assert [entry.id for entry in platform.documents(TAG, finished=False)] == [second]
    assert [entry.id for entry in platform.documents(TAG, since=now - timedelta(seconds=50))] == [second]


def test_document_of_a_work_requirement_without_one_is_empty(local, make_cluster):
    cluster = make_cluster()
    work = head_up(cluster)

    assert cluster.platform.document(work) == ""
