import json

import pytest
import yaml

from yellowdog_ray.config.characters import is_split_by_ray, joined


@pytest.mark.parametrize("text", ["plain", "é", "\uffff", "🚀", "a🚀b🎉", ""])
def test_text_is_whole_again_after_rays_way_to_the_head(text):
    value = {"a": [text, {text: text}], "b": 1, "c": None, "d": True}

    assert joined(yaml.safe_load(json.dumps(value))) == value


def test_half_of_a_pair_alone_stays():
    assert joined("a\ud83d") == "a\ud83d"


@pytest.mark.parametrize(("text", "has"), [("é", False), ("\uffff", False), ("🚀", True), ("\ud83d", True)])
def test_characters_that_ray_reads_as_surrogates_are_found(text, has):
    assert is_split_by_ray(text) == has
