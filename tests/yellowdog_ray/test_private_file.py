"""Files that only their owner can read."""

import os

from yellowdog_ray.private_file import write_private


def test_written_file_is_private_whatever_the_umask(tmp_path):
    file = tmp_path / "token"
    before = os.umask(0)
    try:
        write_private(file, b"secret")
    finally:
        os.umask(before)

    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"secret", 0o600)


def test_written_file_replaces_an_open_one_and_a_link(tmp_path):
    """A link at either name leads nowhere: the target keeps its content."""
    target, file = tmp_path / "target", tmp_path / "token"
    target.write_text("others'")
    file.symlink_to(target)
    (tmp_path / "token.new").symlink_to(target)

    write_private(file, b"secret")

    assert (target.read_text(), file.read_bytes(), file.is_symlink()) == ("others'", b"secret", False)
