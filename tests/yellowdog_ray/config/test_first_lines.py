"""First lines with which no program runs a text."""

import pytest
import yaml

from yellowdog_ray.config.first_lines import first_line_that_cannot_run

JOINED = "YAML has joined the lines of the text: write `|` after the key"


def mistake(text, *, is_userdata=True):
    return first_line_that_cannot_run(text, is_userdata=is_userdata) or ""


@pytest.mark.parametrize(
    "text",
    [
        "userdata: >\n  #!/bin/bash\n  set -e\n  apt-get update\n",
        'userdata: "#!/usr/bin/env bash\n  set -e"\n',
        "userdata: >\n  #!/bin/bash -e\n  apt-get update\n",
        "userdata: >\n  #!/usr/bin/python3\n  print(1)\n",
        "userdata: >-\n  #cloud-config\n  packages:\n  - git\n",
        "userdata: >\n  ## template: jinja\n  #cloud-config\n  packages: [git]\n",
    ],
)
@pytest.mark.parametrize("is_userdata", [True, False])
def test_text_whose_lines_yaml_has_joined_is_refused(text, is_userdata):
    assert JOINED in mistake(yaml.safe_load(text)["userdata"], is_userdata=is_userdata)


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("#!/bin/bash set -e", "with which it does not run. Write one word of options, such as `-eu`, and"),
        ("#!/bin/bash -e -u", "with which it does not run"),
        ("#!/bin/sh -o pipefail", "with which it does not run"),
        ("#!/usr/bin/env bash -e", "write `#!/usr/bin/env -S` before it"),
        ("#!/usr/bin/env", "names no program for `env`"),
        ("#!", "names no program after `#!`"),
        ("#!/bin/bash;", "names the program `bash;`: did you mean `bash`?"),
        ("#!/bin/bahs", "names the program `bahs`: did you mean `bash`?"),
        ("#!/usr/bin/env pyhton3", "did you mean `python3`?"),
        ("#!/bin/bassh", "did you mean `bash`?"),
        ("#!/bin/bash\u00a0", "contains the character U+00A0, which looks like a space"),
        ("\ufeff#!/bin/bash", "begins with an invisible character (U+FEFF)"),
        ("\u200b#cloud-config", "begins with an invisible character (U+200B)"),
        ("#ps1_sysnative", "begins a script for Windows"),
        ("<powershell>", "begins a script for Windows"),
    ],
)
def test_first_line_that_linux_cannot_run_is_refused_as_user_data(line, phrase):
    assert phrase in mistake(f"{line}\necho a\n")


@pytest.mark.parametrize(
    "line",
    [
        "#!/bin/bash",
        "#! /bin/bash  ",
        "#!/bin/bash -eu",
        "#!/usr/bin/env bash",
        "#!/usr/bin/env -S bash -e -o pipefail",
        "#!/bin/busybox sh",
        "#!/usr/bin/awk -f",
        "#!/usr/bin/python3.11",
        "#!/usr/bin/perl -w -T",
        "#!/opt/my-tool/run now",
        "#!/bin/mksh",
        "#cloud-config: mine",
        "#include https://example.com/a",
        "echo a b",
        "# set -e",
    ],
)
@pytest.mark.parametrize("is_userdata", [True, False])
def test_first_line_that_may_run_passes(line, is_userdata):
    assert mistake(f"{line}\necho a\n", is_userdata=is_userdata) == ""


def test_first_line_of_a_task_script_may_be_anything_before_further_lines():
    assert mistake("#!/bin/bash set -e\necho a\n", is_userdata=False) == ""


def test_whole_text_of_one_line_passes_if_it_is_no_script_of_several():
    assert mistake("#!/usr/bin/env -S bash -c 'echo a'") == ""
    assert mistake("#!/bin/busybox sh") == ""
    assert mistake("#cloud-config") == ""
