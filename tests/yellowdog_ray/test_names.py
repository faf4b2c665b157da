import pytest

from yellowdog_ray import names


@pytest.mark.parametrize("name", ["ray", "a", "ray-2", "my_cluster", "a" * 60])
def test_yellowdog_names_are_accepted(name):
    assert names.is_valid_name(name)


@pytest.mark.parametrize("name", ["", "Ray", "2ray", "ray-", "ray.x", "a" * 61, "ray cluster", "-ray"])
def test_what_yellowdog_refuses_is_not_a_name(name):
    assert not names.is_valid_name(name)


@pytest.mark.parametrize("text", ["ray.worker.default", "GPU", "123", "x" * 80, "head", "ray_worker-", "ünïcode"])
def test_a_slug_is_a_name_whatever_the_text(text):
    slug = names.slug(text)

    assert names.is_valid_name(slug)
    assert len(slug) <= 24
    assert slug != text


def test_texts_that_look_alike_get_different_slugs():
    assert len({names.slug(text) for text in ("ray.worker", "ray-worker", "ray_worker", "Ray.worker")}) == 4


def test_no_worker_type_shares_the_heads_task_group():
    assert names.group_name("head", "abcdef") != names.HEAD_GROUP


def test_a_later_generation_meets_no_other_node_type():
    others = {names.group_name(node_type, "abcdef") for node_type in ("gpu", "gpu-2", "gpu-g2")}

    assert names.group_name("gpu", "abcdef", 2) not in others


def test_a_node_type_whose_node_config_has_changed_has_a_task_group_of_its_own():
    assert names.group_name("gpu", "abcdef") != names.group_name("gpu", "fedcba")


def test_a_pool_name_is_short_enough_for_the_longest_cluster_and_node_type():
    pool = names.pool_name("c" * 60, names.group_name("t" * 60, "abcdef", 100), names.new_token())

    assert names.is_valid_name(pool)


def test_pools_of_clusters_whose_names_begin_alike_never_meet():
    token = names.new_token()

    assert names.pool_name("ray", "b-worker", token) != names.pool_name("ray-b", "worker", names.new_token())
    assert not names.is_head_pool("ray", names.pool_name("ray-production", names.HEAD_GROUP, token))
    assert names.is_head_pool("ray", names.pool_name("ray", names.HEAD_GROUP, token))


def test_the_token_can_be_read_back_from_a_pool_name():
    token = names.new_token()

    assert names.token_of(names.pool_name("my-cluster", "worker", token)) == token


def test_worker_ids_are_never_used_twice():
    assert len({names.worker_id("worker") for _ in range(1000)}) == 1000


def test_every_lost_node_has_a_replacement_of_its_own():
    first, second = (names.replacement_id("gpu.big", node_id) for node_id in ("gpu-1", "gpu-2"))

    assert first == names.replacement_id("gpu.big", "gpu-1")
    assert first != second
    assert names.is_valid_name(first)
