"""The syntax of shell scripts, as the shells of this machine read it."""

import pytest

from yellowdog_ray.config import shell_syntax
from yellowdog_ray.config.shell_syntax import dash_mistake, syntax_mistake


@pytest.mark.parametrize(
    "line",
    [
        "fail() { echo; exit 1; }",
        "x || { echo; exit 1; }",
        "trap 'rm x; exit 1' INT",
        "exec >/var/log/x 2>&1",
        "if x; then exit; fi",
        "# first; exit",
    ],
)
def test_line_after_which_a_script_continues_hides_no_syntax_error(line):
    assert "bash cannot read line 3" in (syntax_mistake(f"{line}\nray start\nfi\n") or "")


@pytest.mark.parametrize(
    "text", ["docker run <your image>\n", "IMAGE=<your-registry/your-ray-image>\nray start\n", "cd <path to it>\n"]
)
def test_placeholder_of_an_example_is_named(text):
    mistake = syntax_mistake(text) or ""

    assert mistake.startswith("it contains '<")
    assert mistake.endswith(">', a placeholder, which RayDog does not replace: write what it stands for")


def test_syntax_is_not_judged_where_bash_is_missing_or_old(monkeypatch, tmp_path):
    broken = "if true; then\n"
    monkeypatch.setattr(shell_syntax, "_OLDEST_MAJOR", 1_000)
    assert syntax_mistake(broken) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert syntax_mistake(broken) is None


def test_what_dash_cannot_read_is_found_with_its_line_before_the_end_of_the_script():
    assert (dash_mistake("echo\na=(1 2)\n") or "").startswith("line 2 (Syntax error: ")
    assert dash_mistake("echo; exit 0\na=(1 2)\n") is None
    assert dash_mistake("[[ a == b ]]\n") is None
