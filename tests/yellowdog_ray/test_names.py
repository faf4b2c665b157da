"""The names of everything that RayDog creates."""

import re
from datetime import datetime, timezone

import pytest

from yellowdog_ray import names

END = datetime(2026, 11, 28, 9, 31, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize("name", ["ray", "a", "ray-2", "my_cluster", "a" * 60])
def test_is_valid_name_accepts_yellowdogs_names(name):
    assert names.is_valid_name(name)


@pytest.mark.parametrize("name", ["", "Ray", "2ray", "ray-", "ray.x", "a" * 61, "ray cluster", "-ray"])
def test_is_valid_name_refuses_other_texts(name):
    assert not names.is_valid_name(name)


@pytest.mark.parametrize("tag", ["gpu", "8x", "a.b:c_d-e", "a" * 200])
def test_is_valid_tag_accepts_yellowdogs_tags(tag):
    assert names.is_valid_tag(tag)


@pytest.mark.parametrize("tag", ["", "GPU", "-a", "a b", "a" * 201])
def test_is_valid_tag_refuses_other_texts(tag):
    assert not names.is_valid_tag(tag)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("gpu", "gpu"),
        ("x" * 24, "x" * 24),
        ("x" * 25, "xxxxxxxxxxxxxxxxx-c28e60"),
        ("GPU 8x!", "gpu-8x-4730ad"),
        ("8x", "n-8x-08d31c"),
        ("g8", "g8"),
        ("G8", "g8-55f472"),
        ("-GPU-", "gpu-fcb04a"),
        ("--", "n-d8156b"),
        ("abcdefghijklmnop-.qrstuvwx", "abcdefghijklmnop-d9ca02"),
    ],
)
def test_slug_is_the_same_in_every_version(text, slug):
    assert names.slug(text) == slug


def test_names_are_the_same_in_every_version():
    group = names.group_name("gpu", "abcdef")

    assert group == "gpu-abcdef"
    assert names.group_name("gpu", "abcdef", 2) == "gpu-generation-2-48e44b-abcdef"
    assert names.pool_name("c" * 60, group, "0123abcd") == f"{'c' * 33}-6b15af-gpu-abcdef-0123abcd"
    assert names.head_id("0123abcd") == "head-0123abcd"
    assert names.replacement_id("gpu", "gpu-1") == "gpu-dfe1f80ee72a"


@pytest.mark.parametrize(
    "text", ["ray.worker.default", "GPU", "123", "x" * 80, "head", "ray_worker-", "ünïcode", "\ud800"]
)
def test_slug_is_a_valid_name_for_any_text(text):
    slug = names.slug(text)

    assert names.is_valid_name(slug)
    assert len(slug) <= 24
    assert slug != text


@pytest.mark.parametrize("cluster", ["ray", "ray-production", "head", "a_b-9_9", "c" * 46])
@pytest.mark.parametrize("group", ["head", "cpu-abcdef", "cpu-small-abcdef"])
def test_clusters_of_a_pool_contain_its_own_unless_its_name_may_be_shortened(cluster, group):
    pool = names.pool_name(cluster, group, "0123abcd")

    found = names.clusters_of_pool(pool)

    if len(pool) >= names.MAX_NAME_LENGTH - 1:
        assert found == []
    elif group == "head":
        assert found == [cluster]
    else:
        assert names.slug(cluster) in found


@pytest.mark.parametrize("name", ["", "ray", "ray-head", "ray-head-0123abcx", "head-0123abcd", "-0123abcd"])
def test_name_without_the_form_of_a_pool_is_no_clusters(name):
    assert names.clusters_of_pool(name) == []


def test_slug_differs_for_similar_texts():
    assert len({names.slug(text) for text in ("ray.worker", "ray-worker", "ray_worker", "Ray.worker")}) == 4


def test_slug_is_never_the_heads_task_group():
    assert names.group_name("head", "abcdef") != names.HEAD_GROUP


def test_group_name_of_a_later_generation_differs_from_all_node_types():
    others = {names.group_name(node_type, "abcdef") for node_type in ("gpu", "gpu-2", "gpu-g2")}

    assert names.group_name("gpu", "abcdef", 2) not in others


def test_group_name_changes_with_node_config():
    assert names.group_name("gpu", "abcdef") != names.group_name("gpu", "fedcba")


def test_pool_name_is_valid_for_the_longest_cluster_and_node_type():
    pool = names.pool_name("c" * 60, names.group_name("t" * 60, "abcdef", 100), names.new_token())

    assert names.is_valid_name(pool)


def test_pool_names_of_clusters_with_a_common_prefix_differ():
    token = names.new_token()

    assert names.pool_name("ray", "b-worker", token) != names.pool_name("ray-b", "worker", names.new_token())
    assert not names.is_head_pool("ray", names.pool_name("ray-production", names.HEAD_GROUP, token))
    assert names.is_head_pool("ray", names.pool_name("ray", names.HEAD_GROUP, token))


def test_token_is_read_back_from_a_pool_name():
    token = names.new_token()

    assert names.token_of(names.pool_name("my-cluster", "worker", token)) == token
    assert names.token_of("tag-without-token") == "token"
    assert names.token_of("tag") == "tag"


def test_worker_id_is_new_each_time():
    assert len({names.worker_id("worker") for _ in range(1000)}) == 1000
    assert re.fullmatch(r"worker-[0-9a-f]{12}", names.worker_id("worker"))


def test_replacement_id_differs_per_lost_node():
    first, second = (names.replacement_id("gpu.big", node_id) for node_id in ("gpu-1", "gpu-2"))

    assert first == names.replacement_id("gpu.big", "gpu-1")
    assert first != second
    assert names.is_valid_name(first)


class TestNumberedWorkRequirement:
    @pytest.mark.parametrize(
        "cluster", ["ray", "ray-2", "head", "a", "c" * 54, "c" * 55, "a_" * 29 + "aa", "c-" * 29 + "cc"]
    )
    @pytest.mark.parametrize("generation", [1, 2, 10, 99_999])
    def test_number_is_read_back(self, cluster, generation):
        name = names.work_name(cluster, generation)

        assert names.is_valid_name(name)
        assert names.generation_of(cluster, name) == generation
        assert names.common_part(cluster) in name
        tag = names.pool_name(cluster, names.HEAD_GROUP, names.new_token())
        assert names.is_later_generation(name, tag) is (generation > 1)

    def test_name_is_the_clusters_own_unless_it_is_blocked(self):
        assert names.work_name("ray") == "ray"
        assert names.work_name("ray", 2) == "ray-2"
        assert names.work_name("c" * 60, 2) == f"{'c' * 47}-6b15af-2"

    @pytest.mark.parametrize(
        "name", ["ray-1", "ray-0", "ray-02", "ray-x", "ray2", "ray-production", "my-ray-2", "ray-2-2"]
    )
    def test_other_names_have_no_number(self, name):
        assert names.generation_of("ray", name) is None

    @pytest.mark.parametrize("tag", ["ray-2-head-0badcafe", "mine", "my-ray-head-0badcafe", "ray-worker-0badcafe", ""])
    def test_own_work_requirement_of_a_numbered_cluster_is_no_later_generation(self, tag):
        assert not names.is_later_generation("ray-2", tag)


CLUSTERS = (
    "a",
    "ray",
    "ray-2",
    "head",
    "my_ray-production",
    "a--------b",
    f"a{'-' * 30}b",
    "long" * 15,
    "my_ray-production_of_things",
    "my--ray-production-of-things",
    "x" * 54,
    "x" * 55,
)
NODE_TYPES = ("cpu", "head", "GPU worker (8x A100, spot)", "n" * 60)


@pytest.mark.parametrize("generation", [1, 2, 99999])
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_owner_of_a_pool_is_never_ruled_out_by_names(cluster, generation):
    work = names.work_name(cluster, generation)
    groups = [names.group_name(node_type, "f4562e", number) for node_type in NODE_TYPES for number in (1, 2, 99)]
    pools = [names.pool_name(cluster, group, "0a0b0c0d") for group in ("head", *groups)]

    assert [pool for pool in pools if not names.has_pool_form(pool)] == []
    assert [pool for pool in pools if not names.may_share_cluster(work, pool)] == []


@pytest.mark.parametrize("generation", [1, 2, 99999])
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_cluster_of_a_work_requirement_is_read_from_its_heads_tag(cluster, generation):
    tag = names.pool_name(cluster, "head", "0a0b0c0d")
    found = names.cluster_of(names.work_name(cluster, generation), tag)

    assert found is not None
    assert found == cluster or (generation > 1 and len(cluster) > 54)


@pytest.mark.parametrize(
    ("work", "tag"),
    [
        ("ray", "ray-head"),
        ("ray", "ray-head-0badcaf"),
        ("ray", "ray-worker-0badcafe"),
        ("ray", "ra-head-0badcafe"),
        ("ray", "ray-production-head-0badcafe"),
        ("ray-1", "ray-head-0badcafe"),
        ("ray", ""),
    ],
)
def test_work_requirement_with_another_tag_belongs_to_no_cluster(work, tag):
    assert names.cluster_of(work, tag) is None


@pytest.mark.parametrize("cluster", ["demo", "a" * 60, "x-head-0a0b0c0d"])
def test_state_tag_is_valid_and_no_pools_name(cluster):
    head_pool = names.pool_name(cluster, names.HEAD_GROUP, "0a0b0c0d")

    tag = names.state_tag(head_pool)

    assert names.is_valid_name(tag)
    assert tag == names.pool_name(cluster, names.STATE_GROUP, "0a0b0c0d") != head_pool
    assert not names.is_head_pool(cluster, tag)


@pytest.mark.parametrize("end", [None, END])
def test_name_of_a_published_state_is_no_clusters_generation(end):
    name = names.new_state_name("0a0b0c0d", end)

    assert names.is_valid_name(name)
    stem = name.rpartition("-")[0]
    assert names.generation_of(stem, name) is None
    assert names.STATE_PART in name
    assert names.publisher_of(name, "demo-info-0a0b0c0d") == "demo"
    assert names.announced_end(name) == end


@pytest.mark.parametrize(
    "name",
    [
        "head-info-0a0b0c0d-0123456789ab",
        "head-info-0a0b0c0d-0123456789ab-ends-20261328t093105z",
        "head-info-0a0b0c0d-0123456789ab-ends-20261128",
        "head-info-0a0b0c0d-nightly-ends-20261128t093105z",
        "x-head-info-0a0b0c0d-0123456789ab-ends-20261128t093105z",
    ],
)
def test_another_name_announces_no_end(name):
    assert names.announced_end(name) is None


@pytest.mark.parametrize(
    ("node_id", "number"),
    [
        ("head-0a0b0c0d", 0),
        ("head-0a0b0c0d-r1", 1),
        ("head-0a0b0c0d-r12", 12),
        ("head-0a0b0c0d-r0", None),
        ("head-0a0b0c0d-r1x", None),
        ("head-0a0b0c0d-1", None),
        ("head-0badcafe-r1", None),
        ("worker-0a0b0c0d-r1", None),
    ],
)
def test_head_that_has_replaced_another_has_a_number(node_id, number):
    assert names.restart_number("0a0b0c0d", node_id) == number


@pytest.mark.parametrize("node_id", [names.head_id("0a0b0c0d"), names.restarted_head_id("0a0b0c0d", 2)])
def test_every_head_has_the_token_of_its_incarnation(node_id):
    assert names.token_of_head(node_id) == "0a0b0c0d"
    assert names.is_valid_name(node_id)
