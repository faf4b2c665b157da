"""Texts on the platform: found by their exact tag, read as they were written."""

from datetime import timedelta

from tests.yellowdog_ray.cluster_lab import head_up


def test_documents_are_found_by_exact_tag_and_time(local, make_cluster):
    platform = make_cluster().platform
    first = platform.create_document("first", "demo-info-0", "1")
    local.advance(100)
    second = platform.create_document("second", "demo-info-0", "2")
    platform.create_document("other", "demo-info-00", "3")
    platform.cancel_work_requirement(first)
    local.advance(1)

    now = platform.clock.now()
    assert {entry.id for entry in platform.documents("demo-info-0")} == {first, second}
    assert [entry.id for entry in platform.documents("demo-info-0", finished=False)] == [second]
    assert [entry.id for entry in platform.documents("demo-info-0", since=now - timedelta(seconds=50))] == [second]


def test_document_of_a_work_requirement_without_one_is_empty(local, make_cluster):
    cluster = make_cluster()
    work = head_up(cluster)

    assert cluster.platform.document(work) == ""
