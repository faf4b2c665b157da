"""`userdata` and `extra_userdata` as one text for cloud-init."""

import subprocess
from email import message_from_string

import pytest

from yellowdog_ray.config.userdata import full_userdata, reason_to_skip
from yellowdog_ray.config.userdata_checks import check_userdata
from yellowdog_ray.errors import ConfigError


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
        "#include https://a.example",
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
@pytest.mark.parametrize(
    "end",
    [
        *("exit 0", "exit 3", "set -eu\nfalse", "echo c", "set -o errexit; false"),
        *("set -u; x=$unset 2>/dev/null", "x=${unset:?} 2>/dev/null", "cat >/dev/null <<X\nopen", "exec 3>/dev/null"),
    ],
)
def test_extra_userdata_runs_in_the_same_shell_however_userdata_ends(tmp_path, shell, end):
    script = tmp_path / "script"
    script.write_text(full_userdata(f"{shell}name=b\necho a\n{end}\n", "cat <<END\n$name\nEND\n") or "")
    script.chmod(0o755)

    done = subprocess.run([script], capture_output=True, text=True, check=False)

    assert done.stdout.replace("c\n", "") == "a\nb\n"
    if "unset" in end:
        assert done.returncode
        return
    assert done.returncode == {"exit 3": 3, "set -eu\nfalse": 1, "set -o errexit; false": 1}.get(end, 0)


def test_extra_userdata_with_only_a_comment_is_accepted(tmp_path):
    text = full_userdata("echo a\nexit 0\n", "# nothing\n") or ""

    assert subprocess.run(["bash"], input=text, capture_output=True, text=True, check=True).stdout == "a\n"


def test_script_of_another_language_is_joined_as_it_is():
    assert full_userdata("#!/usr/bin/python3\nexit(0)", "x") == "#!/usr/bin/python3\nexit(0)\nx\n"


@pytest.mark.parametrize(
    "trap", ["trap 'echo c' EXIT", "trap '\necho c\n' EXIT", 'trap "echo c" "EXIT"', "trap 'echo c' exit"]
)
def test_extra_userdata_runs_after_a_script_with_an_own_trap(trap):
    text = full_userdata(f"{trap}\necho a\n", "echo b\n") or ""

    assert subprocess.run(["bash"], input=text, capture_output=True, text=True, check=True).stdout == "a\nb\nc\n"


@pytest.mark.parametrize("shell", ["#!/bin/sh", "#!/bin/bash"])
@pytest.mark.parametrize(
    ("first", "extra", "code"),
    [
        ("exit 5", "exit 0", 5),
        ("exit 5", "exit 6", 5),
        ("echo a", "false", 1),
        ("set -e\necho a", "false\necho b", 1),
        ("echo a \\", "exit 4", 4),
        ("echo a", "trap 'echo d' EXIT", 0),
        ("echo a", "cat <<X\nopen", 0),
        ("exit 5", "if", 5),
    ],
)
def test_first_failure_of_two_scripts_is_the_exit_code(tmp_path, shell, first, extra, code):
    script = tmp_path / "script"
    script.write_text(full_userdata(f"{shell}\n{first}", extra) or "")
    script.chmod(0o755)

    done = subprocess.run([script], capture_output=True, text=True, check=False)

    assert (done.returncode, "b" in done.stdout) == (code, False)
    assert ("d" in done.stdout) == ("trap" in extra), "a trap of the extra text runs"


def test_extra_userdata_is_read_with_the_options_of_userdata(tmp_path):
    text = full_userdata("shopt -s extglob\nexit 0", 'case b in !(a)) echo c;; esac\nread -r x; echo "$x"') or ""
    (tmp_path / "script").write_text(text)

    done = subprocess.run(["bash", tmp_path / "script"], input="d\n", capture_output=True, text=True, check=True)

    assert done.stdout == "c\nd\n"


def test_half_of_a_character_is_refused():
    with pytest.raises(ConfigError, match=r"extra_userdata contains a lone surrogate"):
        check_userdata({"userdata": "#cloud-config", "extra_userdata": "echo \ud800"}, "c.yaml", "node_config")


@pytest.mark.parametrize(
    ("first", "extra", "types"),
    [
        ("#cloud-config\npackages: [x]", "#!/bin/bash\necho b", ["text/cloud-config", "text/x-shellscript"]),
        ("echo é", "#!/usr/bin/env python3\nprint()", ["text/x-shellscript", "text/x-shellscript"]),
        ("#!/bin/sh\necho a", "#!/bin/bash\nb=(c d)", ["text/x-shellscript", "text/x-shellscript"]),
        ("#include\nhttps://a.example", "#cloud-config\na: 1", ["text/x-include-url", "text/cloud-config"]),
    ],
)
def test_texts_of_two_formats_become_parts_for_cloud_init(first, extra, types):
    parts = message_from_string(full_userdata(first, extra) or "").get_payload()

    assert [part.get_content_type() for part in parts] == types
    assert parts[0].get_payload(decode=True).decode().endswith(f"{first}\n")
    assert parts[1].get_payload(decode=True).decode() == f"{extra}\n"


@pytest.mark.parametrize(
    ("first", "extra", "phrase"),
    [
        ("MIME-Version: 1.0\nx", "echo b", "begins with 'MIME-Version: 1.0': write one text"),
        ("echo a", "<powershell>\nx", "begins with '<powershell>': write one text"),
        ("#cloud-config\na: 1", "if true; then echo b; fi", "begin extra_userdata with a line for cloud-init"),
        ("#include\nhttps://a.example", "echo b", "begin extra_userdata with a line for cloud-init"),
    ],
)
def test_extra_userdata_that_cannot_follow_is_refused(first, extra, phrase):
    with pytest.raises(ConfigError, match=phrase):
        check_userdata({"userdata": first, "extra_userdata": extra}, "c.yaml", "node_config")


@pytest.mark.parametrize(
    ("first", "extra"), [("#cloud-config\na: 1", "b: 2"), ("echo a", "echo b"), ("#!/usr/bin/python3\nx", "y")]
)
def test_extra_userdata_that_continues_userdata_is_accepted(first, extra):
    check_userdata({"userdata": first, "extra_userdata": extra}, "c.yaml", "node_config")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("trap 'rm x' EXIT", "`trap`"),
        ("a && exec /usr/bin/agent", "`exec`"),
        ("exec >/var/log/x 2>&1; exec 3<y", None),
        ("# trap x EXIT; exec y", None),
        ('[ $# -eq 0 ] || trap c "EXIT"', "`trap`"),
        ("if a; then exec b; fi; [ $# -eq 0 ] && exec c", "`exec`"),
        ("find . -exec chmod 700 {} +; docker exec c ls", None),
        ("#!/usr/bin/python3\nexec x", "no shell script"),
        ("#cloud-config\na: 1", None),
    ],
)
def test_command_that_may_skip_extra_userdata_is_found(script, reason):
    assert (reason is None) == (reason_to_skip(script) is None)
    assert (reason or "") in (reason_to_skip(script) or "")
