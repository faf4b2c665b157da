"""`userdata` and `extra_userdata` together: what cloud-init, or a cloud, would ignore or refuse."""

import pytest

from yellowdog_ray.config.userdata import full_userdata
from yellowdog_ray.config.userdata_checks import check_userdata, userdata_warnings
from yellowdog_ray.errors import ConfigError

PACKAGES = "#cloud-config\npackages: [a]\n"


def mistake(first: str | None, extra: str | None = None) -> str:
    try:
        check_userdata({"userdata": first, "extra_userdata": extra}, "c.yaml", "w.node_config")
    except ConfigError as error:
        return str(error)
    return ""


def warnings(first: str | None, extra: str | None = None) -> list[str]:
    node_config = {"userdata": first, "extra_userdata": extra}
    return userdata_warnings({"available_node_types": {"w": {"node_config": node_config}}}, "c.yaml")


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "phrase"),
        [
            ("# Packages\n\n#cloud-config\npackages: [a]", "'#cloud-config' is not the first line"),
            ("  #cloud-config\n  packages: [a]", "'#cloud-config' is not the first line"),
            ("# Set up\n#!/usr/bin/python3\nprint()", "'#!/usr/bin/python3' is not the first line"),
            ("# Set up\n#include\nhttps://a.example", "'#include' is not the first line"),
            ("packages: [a]\nruncmd: [b]", "has the form of a `#cloud-config`, and without that line bash"),
            ("# cloud-config\npackages:\n- a", "has the form of a `#cloud-config`"),
            ("---\n#cloud-config\npackages: [a]", "'#cloud-config' is not the first line"),
            ("---\npackages: [a]", "has the form of a `#cloud-config`"),
            ("#!cloud-config\npackages: [a]", "does not name a program by its absolute path"),
            ("#!bash\necho a", "'#!bash' does not name a program by its absolute path: write a line such as `#!/bin"),
            ("#include\nhttps://a.example\nb.sh", "'b.sh' below `#include` is no address"),
            ("#cloud-config\npackages: [a\nb: 1", "is no YAML (line 3: "),
            ("#cloud-config\n\tpackages: [a]", "is no YAML (line 2: "),
            ("#cloud-config\n- a", "ignores a `#cloud-config` that is not a mapping"),
            ("#cloud-config-archive\na: b", "ignores a `#cloud-config-archive` that is not a list"),
        ],
    )
    @pytest.mark.parametrize("key", ["userdata", "extra_userdata"])
    def test_text_that_cloud_init_would_not_read_as_meant_is_refused(self, key, text, phrase):
        first, extra = (text, None) if key == "userdata" else ("echo a", text)

        found = mistake(first, extra)

        assert found.startswith(f"c.yaml: w.node_config.{key}: ")
        assert phrase in found

    @pytest.mark.parametrize(
        "text",
        [
            "# Set up\n#!/bin/sh\necho a",
            "# the disk\necho a: b",
            "#cloud-config\n# nothing\n",
            '#cloud-config-jsonp\n[{"op": "add", "path": "/a", "value": 1}]',
            "## template: jinja\n#cloud-config\n{% if a %}\nb: 1\n{% endif %}",
            "#cloud-config-archive\n- packages: [a]",
            "#include https://a.example",
            "#include-once\n# setup\nhttps://a.example\n/etc/setup",
            "#! /usr/bin/env python3\nprint()",
        ],
    )
    def test_text_that_runs_as_meant_is_accepted(self, text):
        assert mistake(text) == ""

    def test_each_text_has_its_own_line(self):
        found = mistake("#cloud-config\n- a", "# b\n#cloud-config-archive\n[]\n#cloud-config\n")

        assert [line.split(": ")[1] for line in found.split("\n")] == ["w.node_config.userdata"]
        found = mistake("#cloud-config\n- a", "#cloud-config\n- b")
        assert [line.split(": ")[1].rpartition(".")[2] for line in found.split("\n")] == ["userdata", "extra_userdata"]

    def test_yaml_that_continues_a_cloud_config_is_not_read_by_bash(self):
        assert mistake("#cloud-config\na: 1", "# more\nruncmd:\n- echo it's (here\n") == ""

    def test_syntax_error_of_extra_userdata_is_refused(self):
        assert "w.node_config.extra_userdata: bash cannot read line" in mistake("echo a", "if b; then\n")

    @pytest.mark.parametrize("lines", ["\n", " \n\n", "\t\r\n"])
    def test_empty_lines_before_the_first_line_are_left_out(self, lines):
        assert mistake(f"{lines}{PACKAGES}") == ""
        assert full_userdata(f"{lines}{PACKAGES}", None) == PACKAGES

    def test_user_data_that_no_cloud_accepts_is_refused(self):
        half = "#" * 499_000

        assert mistake(half, half) == ""
        found = mistake(half, f"{half}{'#' * 3_000}")
        assert found.startswith("c.yaml: w.node_config.userdata with extra_userdata has 1,001,")
        assert "bytes, and no cloud accepts 1,000,000: put parts of it into the image" in found


class TestWarnings:
    def test_key_of_two_cloud_configs_gives_a_warning_with_its_remedy(self):
        first = f"{PACKAGES}write_files: []\nruncmd: [b]\n"

        (found,) = warnings(first, "#cloud-config\nruncmd: [c]\npackages: [d]\nhostname: e\n")

        assert found == (
            "c.yaml: available_node_types.w.node_config.extra_userdata replaces `packages`, `runcmd` of userdata, "
            "because cloud-init keeps the last value of each key. Add the line "
            "`merge_how: list(append)+dict(recurse_list)+str()` to extra_userdata, which appends its lists, or write "
            "each key once"
        )

    @pytest.mark.parametrize("merge", ["merge_how: list(append)+dict(recurse_list)+str()", "merge_type: dict(replace)"])
    def test_stated_merge_of_two_cloud_configs_gives_no_warning(self, merge):
        assert warnings(PACKAGES, f"{PACKAGES}{merge}\n") == []
        assert len(warnings(f"{PACKAGES}{merge}\n", PACKAGES)) == 1, "cloud-init uses that of the second text"

    @pytest.mark.parametrize(
        ("first", "extra", "place"),
        [
            (f"{PACKAGES}packages: [b]", None, "userdata has"),
            (None, f"{PACKAGES}packages: [b]", "extra_userdata has"),
            (PACKAGES, "packages: [b]", "userdata (with extra_userdata) has"),
        ],
    )
    def test_key_that_one_cloud_config_has_twice_gives_a_warning(self, first, extra, place):
        (found,) = warnings(first, extra)

        assert f"node_config.{place} `packages` twice, and cloud-init uses the last value only" in found

    def test_user_data_above_the_limit_of_aws_gives_a_warning_with_the_numbers(self):
        assert warnings("#!/bin/bash\n" + "x" * (16_384 - 13)) == []

        (found,) = warnings("#!/bin/bash\n" + "x" * (16_384 - 12))

        assert "node_config.userdata has 16,385 bytes, and AWS accepts at most 16,384, Oracle Cloud 32,000" in found
        (found,) = warnings("echo a\n" * 1500, "echo é\n" * 1000)
        assert "node_config.userdata with extra_userdata has 18," in found

    def test_private_key_inside_a_script_gives_a_warning(self):
        (found,) = warnings("cat >k <<END\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nEND\n")

        assert "node_config.userdata contains a private key, which all readers of" in found

    @pytest.mark.parametrize("first", [None, "", " ", "echo a", PACKAGES])
    def test_short_user_data_gives_no_warning(self, first):
        assert warnings(first, "echo b" if first != PACKAGES else "#!/bin/sh\necho b") == []

    @pytest.mark.parametrize(
        ("first", "extra", "place"),
        [
            ("#!/bin/sh\na=(1 2)", None, "userdata"),
            ("#!/bin/sh\necho a", "cat <(ls)", "extra_userdata"),
            ("#!/usr/bin/env sh\necho a", "#!/bin/sh\na=(1)", "extra_userdata"),
        ],
    )
    def test_script_for_sh_that_dash_cannot_read_gives_a_warning(self, first, extra, place):
        (found,) = warnings(first, extra)

        assert f"node_config.{place}: the `sh` of Debian and Ubuntu, dash, cannot read line " in found
        assert "write `#!/bin/bash`" in found

    @pytest.mark.parametrize(
        ("first", "extra"),
        [
            ("#!/bin/bash\na=(1 2)", None),
            ("a=(1 2)", None),
            ("#!/bin/sh\necho a\nexit 0\n((\n", None),
            ("#!/bin/sh\necho a", "#!/bin/bash\na=(1)"),
            (PACKAGES, "#!/bin/sh\necho a"),
        ],
    )
    def test_script_for_bash_or_of_any_sh_gives_no_warning(self, first, extra):
        assert warnings(first, extra) == []
