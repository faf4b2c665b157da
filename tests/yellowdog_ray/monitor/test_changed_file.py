"""A file that another process writes."""

import os

import pytest

from yellowdog_ray.monitor.changed_file import ChangedFile


def test_first_check_is_a_change_and_the_next_is_none(tmp_path):
    path = tmp_path / "file"
    path.write_text("a")
    file = ChangedFile(path)

    assert [file.has_changed() for _ in range(3)] == [True, False, False]


def test_replaced_file_of_the_same_size_and_time_is_a_change(tmp_path):
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("a")
    other.write_text("b")
    file = ChangedFile(path)
    file.has_changed()
    found = path.stat()
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))

    other.replace(path)

    assert file.has_changed()


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        ChangedFile(tmp_path / "none").has_changed()
