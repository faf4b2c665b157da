"""Values of a YAML that neither Python nor JSON can hold."""

import os
from datetime import date
from pathlib import Path

import pytest
import yaml

from yellowdog_ray.config.mistakes import Mistake
from yellowdog_ray.config.readable import (
    MAX_FILE_BYTES,
    MAX_VALUES,
    has_too_many_values,
    is_endless,
    load,
    read_text,
    unreadable_scalar,
    values_that_are_no_json,
)
from yellowdog_ray.errors import ConfigError


def test_value_that_contains_itself_is_endless():
    endless: list[object] = []
    endless.append(endless)

    assert is_endless(endless)


def test_value_that_occurs_twice_is_not_endless():
    shared = {"a": 1}

    assert not is_endless([shared, shared, date(2026, 1, 1), {(1, 2): "key of a kind that JSON lacks"}])


def test_first_scalar_that_does_not_fit_its_tag_is_found():
    found = unreadable_scalar(yaml.compose("a: [1, !!bool x]\nb: !!int y\n"))

    assert found is not None
    assert found.value == "x"


@pytest.mark.parametrize("text", ["a: 1", "a: &x {b: *x}"])
def test_readable_yaml_has_no_such_scalar(text):
    assert unreadable_scalar(yaml.compose(text)) is None


def test_values_that_are_no_json_are_found_at_their_places():
    value = {"a": [1, None, date(2026, 1, 1)], 2: {"b": b"x"}, "c": "text"}

    assert [(mistake.place, type(mistake)) for mistake in values_that_are_no_json(value)] == [
        (("a", 2), Mistake),
        (("2", "b"), Mistake),
    ]


class TestFile:
    def test_byte_order_mark_is_no_part_of_the_text(self, tmp_path):
        (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa: 1\n")

        assert read_text(tmp_path / "x") == "a: 1\n"

    @pytest.mark.parametrize(
        ("make", "phrase"),
        [
            (Path.mkdir, "is no regular file: give the path"),
            (os.mkfifo, "is no regular file: give the path"),
            (lambda file: file.symlink_to("/dev/zero"), "is no regular file: give the path"),
            (lambda file: file.symlink_to(file), "cannot be read (Too many levels of symbolic links): correct the"),
            (lambda file: file.write_bytes(b"\xff\xfea\x00"), "save it as UTF-8"),
            (lambda file: file.write_bytes(b"#" * (MAX_FILE_BYTES + 1)), "bytes, and a cluster's YAML at most"),
            (lambda _: None, "cannot be read (No such file or directory): correct the path"),
        ],
    )
    def test_file_that_cannot_be_read_is_refused(self, tmp_path, make, phrase):
        file = tmp_path / "cluster.yaml"
        make(file)

        with pytest.raises(ConfigError) as caught:
            read_text(file)

        assert str(caught.value).startswith(f"{file} ")
        assert phrase in str(caught.value)

    def test_value_is_that_of_the_text(self, tmp_path):
        (tmp_path / "x").write_text("a: [1]\n")
        (tmp_path / "empty").write_text("")

        assert load(tmp_path / "x") == {"a": [1]}
        assert load(tmp_path / "empty") is None

    def test_file_with_too_many_values_is_refused(self, tmp_path):
        lines = [f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]" for level in range(1, 40)]
        (tmp_path / "x").write_text("\n".join(["a0: &a0 [x, x]", *lines]))

        with pytest.raises(ConfigError, match="100,000 values"):
            load(tmp_path / "x")


@pytest.mark.parametrize(
    ("levels", "is_too_large"), [(3, False), (9, True), (60, True)], ids=["small", "beyond the maximum", "endless"]
)
def test_aliases_written_out_are_counted(levels, is_too_large):
    lines = ["a0: &a0 [" + ",".join("x" * 9) + "]"]
    lines += [f"a{level}: &a{level} [" + ",".join([f"*a{level - 1}"] * 9) + "]" for level in range(1, levels)]

    assert has_too_many_values(yaml.compose("\n".join(lines))) is is_too_large
    assert MAX_VALUES < 9**9


def test_part_of_itself_is_counted_once():
    assert not has_too_many_values(yaml.compose("a: &a [*a, *a]"))
