"""The commands in the pages exist, and each is run by a test or has a reason why it is not."""

import re

import pytest

from tests.page_commands import ROOT, commands, commands_of, problems
from tests.test_pages import NAMED, exists

PAGE = ROOT / "docs/development/commands-in-pages.md"


def rows() -> dict[str, str]:
    """The beginnings of commands, and the test or reason of each."""
    cells = [line.split("|")[1:3] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return {name: reason.strip() for names, reason in cells for name in re.findall(r"`([^`]+)`", names)}


def row_of(words: tuple[str, ...]) -> str | None:
    beginnings = (" ".join(words[:length]) for length in range(len(words), 0, -1))
    return next((beginning for beginning in beginnings if beginning in rows()), None)


def test_every_command_exists_with_its_options_and_files():
    found = commands()

    assert len(found) > 150
    assert [f"{command}: {problem}" for command in found for problem in problems(command)] == []


def test_every_command_has_a_test_or_a_reason():
    known = rows()
    used = {str(command): row_of(command.words) for command in commands()}
    inner = {"ray status", "serve run"}  # commands within `ray exec`

    assert [command for command, row in used.items() if row is None] == []
    assert set(known) - inner - set(used.values()) == set()
    assert [name for name, reason in known.items() if not reason] == []


def test_named_tests_exist():
    names = NAMED.findall(PAGE.read_text())

    assert len(names) > 20
    assert [
        f"{file}::{name}" for file, name in names if file != "tests/test_page_commands.py" and not exists(file, name)
    ] == []


BLOCK = """\
Text.

   ```sh
   A=1 raydog list --namespace x    # a comment
   ray exec c.yaml 'ray status --bad' && cd x; set -e
   cat > job.py <<'JOB'
   ray nothing
   JOB
   task=$(raydog logs \\
     --nope 3)
   ```
"""


def test_commands_are_read_with_their_lines():
    assert [(command.line, " ".join(command.words)) for command in commands_of("x.md", BLOCK)] == [
        (4, "raydog list --namespace x"),
        (5, "ray exec c.yaml ray status --bad"),
        (5, "cd x"),
        (5, "set -e"),
        (6, "cat"),
        (9, "raydog logs --nope 3"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("raydog lost", "raydog has no command lost"),
        ("raydog local status --jsn", "raydog local status has no option --jsn"),
        ("raydog gc my-cluster", "raydog gc takes 0 to 0 arguments, not 1"),
        ("raydog down", "raydog down takes 1 to 1 arguments, not 0"),
        ("ray up --yess c.yaml", "ray up has no option --yess"),
        ("ray exec c.yaml 'ray statuss'", "ray has no command statuss"),
        ("ray up examples/nope.yaml", "there is no examples/nope.yaml"),
        ("scripts/demo --keeep", "scripts/demo has no option --keeep"),
        ("scripts/nope", "there is no scripts/nope"),
    ],
)
def test_command_that_does_not_exist_is_found(line, problem):
    (command,) = commands_of("x.md", f"```sh\n{line}\n```\n")

    assert list(problems(command)) == [problem]
