"""`userdata` and `extra_userdata` as one text for cloud-init."""

import subprocess

import pytest

from yellowdog_ray.config.userdata import full_userdata


@pytest.mark.parametrize("comment", ["# Set up the disk", "#Set up", "#include the disk", "#cloud storage", "#"])
def test_comment_in_the_first_line_gets_an_interpreter(comment):
    assert full_userdata(f"{comment}\necho a\n", None) == f"#!/bin/bash\n{comment}\necho a\n"


@pytest.mark.parametrize(
    "line",
    [
        "#!/bin/sh",
        "#cloud-config",
        "#cloud-config-archive",
        "#cloud-boothook",
        "#include",
        "#include-once",
        "#part-handler",
        "## template: jinja",
        "Content-Type: multipart/mixed; boundary=x",
        "MIME-Version: 1.0",
        "<powershell>",
    ],
)
def test_text_of_another_format_is_unchanged(line):
    assert full_userdata(f"{line}\nx\n", None) == f"{line}\nx\n"


@pytest.mark.parametrize("shell", ["", "#!/bin/sh\n", "#!/bin/bash -x\n", "#!/usr/bin/env bash\n"])
@pytest.mark.parametrize("end", ["exit 0", "exit 3", "set -eu\nfalse", "echo c", "set -o errexit; false"])
def test_extra_userdata_runs_in_the_same_shell_however_userdata_ends(tmp_path, shell, end):
    script = tmp_path / "script"
    script.write_text(full_userdata(f"{shell}name=b\necho a\n{end}\n", "cat <<END\n$name\nEND\n") or "")
    script.chmod(0o755)

    done = subprocess.run([script], capture_output=True, text=True, check=False)

    assert done.stdout.replace("c\n", "") == "a\nb\n"
    assert done.returncode == {"exit 3": 3, "set -eu\nfalse": 1, "set -o errexit; false": 1}.get(end, 0)


def test_extra_userdata_with_only_a_comment_is_accepted(tmp_path):
    text = full_userdata("echo a\nexit 0\n", "# nothing\n") or ""

    assert subprocess.run(["bash"], input=text, capture_output=True, text=True, check=True).stdout == "a\n"


def test_script_of_another_language_is_joined_as_it_is():
    assert full_userdata("#!/usr/bin/python3\nexit(0)", "x") == "#!/usr/bin/python3\nexit(0)\nx\n"
