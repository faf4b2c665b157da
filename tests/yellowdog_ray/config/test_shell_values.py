"""Assignments to a variable of a shell script, with bash as the reference for their values."""

import subprocess

import pytest

from yellowdog_ray.config.shell_values import assignments


def last(script):
    return list(assignments(script, "KEY"))[-1]


@pytest.mark.parametrize(
    "script",
    [
        "KEY=a",
        "KEY='a b'",
        'KEY="a b"; x=1',
        "export KEY=a\\ b",
        "readonly KEY=\"a \"'b c'",
        "KEY=$'a\\nb'",
        'KEY="a\nb"',
        'KEY="a\\nb \\"c\\""',
        'KEY="from="x" a b"',
        'KEY="${KEY:-a b}"',
        'KEY="${KEY:-"a b"}"',
        "KEY=${KEY-a b}",
        ': "${KEY:=a b}"',
        "KEY= # a",
        "true && KEY=a",
        "if true; then KEY=a; fi",
    ],
)
def test_value_is_that_of_bash(script):
    shown = subprocess.run(["bash", "-c", f'{script}\nprintf %s "$KEY"'], capture_output=True, text=True, check=True)

    assert last(script).value == shown.stdout


@pytest.mark.parametrize("script", ['KEY="$(cat x)"', "KEY=`x`", 'KEY="a$b"', 'KEY="${KEY:-$b}"'])
def test_value_that_the_shell_computes_is_unknown(script):
    assert last(script).value is None


@pytest.mark.parametrize(
    ("script", "is_certain"),
    [
        ("KEY=a", True),
        ("x=1\nexport KEY=a", True),
        (" KEY=a", False),
        ("x; KEY=a", False),
        ("if x; then\nKEY=a\nfi", False),
        ("f() {\nKEY=a\n}", False),
        ("cat <<'END'\nKEY=a\nEND", False),
        ("cat <<END\nb\nEND\nKEY=a", True),
    ],
)
def test_assignment_is_certain_only_at_the_beginning_of_a_line_outside_of_blocks(script, is_certain):
    assert last(script).is_certain is is_certain


def test_spaces_beside_the_sign_and_defaults_are_noted():
    assert last('KEY = "a"').is_spaced
    assert last('KEY= "ssh-ed25519 a"').is_spaced
    assert not last("KEY= x").is_spaced
    assert last("KEY=${KEY:-a}").is_default
    assert not last("KEY=a").is_default


@pytest.mark.parametrize("text", ["echo 'KEY=a'", "echo set KEY=a", "MY_KEY=a", '[ "$KEY" = a ]'])
def test_other_words_are_no_assignments(text):
    assert list(assignments(text, "KEY")) == []


@pytest.mark.parametrize("part", ["KEY=;", 'KEY="', "KEY=${KEY:-", "KEY=${KEY:-a}\n", "cat <<A\n", "KEY='"])
def test_script_of_a_megabyte_takes_no_more_than_seconds(part):
    list(assignments(part * (1_000_000 // len(part)), "KEY"))
