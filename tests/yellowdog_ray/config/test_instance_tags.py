"""Tags of machines: what every cloud accepts, and what Google Cloud refuses."""

import pytest

from yellowdog_ray.config import instance_tags
from yellowdog_ray.config.instance_tags import checked_tags, own_tags, refused_by_google, user_of_this_machine
from yellowdog_ray.config.node_config import NodeConfig


class TestCheckedTags:
    def test_tags_are_in_the_order_of_their_keys(self):
        assert list(checked_tags({"b": "", "Cost Center": "a / b", "a": "ü"})) == ["Cost Center", "a", "b"]

    @pytest.mark.parametrize(
        ("tags", "words"),
        [
            (["a"], "mapping of text to text"),
            ({"a": 1}, "write it in quotes"),
            ({1: "a"}, "write it in quotes"),
            ({"a": 1, "b": "", "AWS:c": ""}, "in quotes; 'AWS:c' is not a key"),
            ({"a": None}, "write it in quotes"),
            ({"AWS:team": "a"}, "aws:"),
            ({"": "a"}, "at most 128"),
            ({" a": "a"}, "at the ends"),
            ({"a\n": "a"}, "at most 128"),
            ({"a/b": "a"}, "< > %"),
            ({"k" * 129: "a"}, "at most 128"),
            ({"a": "v" * 257}, "at most 256"),
            ({"a": "one\ntwo"}, "one line"),
            ({f"k{number}": "" for number in range(49)}, "AWS and Azure accept 50"),
        ],
    )
    def test_tags_that_a_cloud_refuses_are_refused_with_a_remedy(self, tags, words):
        with pytest.raises(ValueError, match=words):
            checked_tags(tags)

    def test_longest_and_most_tags_are_accepted(self):
        tags = {f"{number:02}".ljust(128, "k"): "v" * 256 for number in range(48)}

        assert checked_tags(tags) == tags


@pytest.mark.parametrize("tags", [{"CostCentre": "a"}, {"1a": "a"}, {"a": "A b"}, {"a" * 64: ""}, {"a": "b" * 64}])
def test_tags_that_are_no_labels_of_google_are_found(tags):
    assert refused_by_google({"team": "a-b_1", **tags}) == list(tags)


class TestOwnTags:
    def test_own_tags_are_labels_that_every_cloud_accepts(self):
        tags = own_tags("demo", "DOMAIN\\Ann Lee" * 9)

        assert tags["ray-cluster-name"] == "demo"
        assert tags["ray-user"].startswith("domain-ann-lee")
        assert refused_by_google(checked_tags(tags)) == []

    def test_unknown_user_is_left_out(self, monkeypatch):
        def fail():
            raise KeyError("no such uid")

        monkeypatch.setattr(instance_tags.getpass, "getuser", fail)

        assert own_tags("demo", user_of_this_machine()) == {"ray-cluster-name": "demo"}


def test_digest_depends_on_tags_and_not_on_their_order():
    one, same, other = (
        NodeConfig.model_validate({"compute_requirement_template": "a/b", "instance_tags": tags})
        for tags in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "1"})
    )

    assert one.digest == same.digest != other.digest
    assert {one: "x"}[same] == "x"
    assert one.with_tags({}) is one
    assert one.with_tags({"c": "3"}).digest != one.digest
