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


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: {{ v1.x }}", "line 2: found unhashable key: put `{{` in quotes, or begin a template with the line `## "),
        ("? [a]\n: b", "line 2: found unhashable key)"),
        ('runcmd:\n- !Sub "echo"', "line 3: could not determine a constructor for the tag '!Sub'"),
        ("a: !!python/object/apply:os.system [x]", "line 2: could not determine a constructor for the tag 'tag:yaml"),
        ("a: 1\n<<: 5", "line 3: expected a mapping or list of mappings for merging"),
        ("a: 2024-99-99", "line 2: '2024-99-99' does not fit YAML's type timestamp"),
        ("a: !!int x", "line 2: 'x' does not fit YAML's type int"),
    ],
)
def test_value_that_cloud_init_cannot_load_is_a_mistake_with_its_line(text, reason):
    mistake = cloud_config_mistake(f"#cloud-config\n{text}\n") or ""

    assert f"cloud-init cannot load it ({reason}" in mistake
    assert mistake.endswith("), and ignores it: correct it")


@pytest.mark.parametrize(
    "text",
    [
        "## template: jinja\n#cloud-config\na: {{ v1.x }}",
        "#cloud-config\na: !!python/unicode x",
        "#cloud-config\na: &a [1]\nb: *a",
        "#cloud-config\na: 2024-01-01\nb: 0x\nc: '{{ x }}'\n",
        "#cloud-config\n",
    ],
)
def test_text_that_cloud_init_can_load_passes(text):
    assert cloud_config_mistake(text) is None


def test_key_that_a_merge_repeats_is_no_repeated_key():
    assert repeated_keys("#cloud-config\na: &a {b: 1, c: 1}\n<<: *a\nb: 2\n") == []


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
