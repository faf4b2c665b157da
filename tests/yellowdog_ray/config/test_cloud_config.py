"""Texts in cloud-init's format `#cloud-config`."""

import pytest

from yellowdog_ray.config.cloud_config import (
    cloud_config_mistake,
    is_without_first_line,
    keys_of,
    repeated_keys,
    replaced_keys,
)


@pytest.mark.parametrize("text", ["#cloud-config\n{a: \x07}", "#cloud-config\na: " + "[" * 600])
def test_text_that_no_yaml_library_reads_is_a_mistake(text):
    assert "it is no YAML (" in (cloud_config_mistake(text) or "")


@pytest.mark.parametrize("text", ["#!/bin/bash\n[", "#cloud-config-jsonp\n[]", "#cloud-configuration\n[", "[", ""])
def test_text_of_another_format_is_not_read(text):
    assert cloud_config_mistake(text) is None
    assert repeated_keys(f"{text}\na: 1\na: 2") == []
    assert replaced_keys(text, "#cloud-config\na: 1") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("packages: [a]", True),
        ("# comment\n\nruncmd:\n- a\n", True),
        ("packages: [a", False),
        ("echo packages: a", False),
        ("https://a.example", False),
        ("a=1\nb: 2", False),
        ("# comment", False),
    ],
)
def test_form_of_a_cloud_config_without_its_first_line_is_found(text, found):
    assert is_without_first_line(text) == found


def test_each_replaced_or_repeated_key_is_listed_once():
    first, second = "#cloud-config\na: 1\nb: 2\na: 3\nc: 4", "#Cloud-Config x\nb: 1\nb: 2\na: 3"

    assert keys_of(first) == ["a", "b", "a", "c"]
    assert repeated_keys(first) == ["a"]
    assert replaced_keys(first, second) == ["a", "b"]
