"""The lines of shell scripts without comments and messages, also of one line with a megabyte."""

import pytest

from yellowdog_ray.config.shell_lines import lines_without_messages
from yellowdog_ray.config.shell_scripts import stated_versions
from yellowdog_ray.config.userdata import reason_to_skip

MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("echo 'a b' c", ""),
        ('echo "a" "b" >&2', ">&2"),
        ('echo "a b" >file', 'echo "a b" >file'),
        ("run; echo a | bash", "run;| bash"),
        ("( echo a ) 2>file", "( echo a ) 2>file"),
        ('fail "this is bad" word', 'fail "" word'),
        ('KEY="a b" bash -c "c d"', 'KEY="a b" bash -c "c d"'),
        ('pip install x "a b"', 'pip install x "a b"'),
        (r"say \"a b\" 'c d'", r"say \"a b\" " + '""'),
        ('it\'s "a b"', 'it\'s ""'),
        ("# echo a\nrun", "run"),
        ("run \\\n  now", "run    now"),
    ],
)
def test_messages_of_a_script_are_left_out_unless_they_are_used(text, rest):
    assert lines_without_messages(text) == rest


@pytest.mark.parametrize(
    "part",
    [
        '"a b" ',
        'echo "a" ',
        "(echo a ",
        '\\" ',
        '"\\"',
        "install ",
        "x = ",
        "'",
        "RAY_VERSION=1",
        "trap ",
        "; exec ",
    ],
)
def test_line_of_a_megabyte_takes_no_more_than_seconds(part):
    """With searches from every place such a line takes minutes to years."""
    line = f"{part * (MEGABYTE // len(part))} >file"

    lines_without_messages(line)
    lines_without_messages(f"echo {line}")
    stated_versions(f"RAY_VERSION={'1' * MEGABYTE}")
    reason_to_skip(line)
