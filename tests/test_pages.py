"""The pages name tests, files and commands that exist, and quote messages of the sources."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.page_commands import commands, commands_of, problems
from tests.script_modules import script_module
from yellowdog_ray import errors
from yellowdog_ray.errors import LaunchBackedOff, RayDogError

TESTS = Path(__file__).parent
ROOT = TESTS.parent
reference = script_module("reference")
DOCS = ROOT / "docs"
PAGE = DOCS / "reliability.md"
SPECIFICATION = DOCS / "spec.md"
TROUBLESHOOTING = DOCS / "troubleshooting.md"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

COMMANDS_PAGE = DOCS / "development/commands-in-pages.md"

NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
VARYING = re.compile(r"\.{3,}|'[^']*'|\([A-Z]+\)|\b[A-Z]+_[A-Z_]+\b|\b\d+\b")
"""Parts of a quoted message that are computed: omissions, names, statuses, variables, numbers."""
OF_RAY = {"Backing off of autoscaler update"}
"""Quoted messages of Ray itself."""


@pytest.mark.parametrize("page", [PAGE, SPECIFICATION], ids=lambda page: page.stem)
def test_page_names_existing_tests_only(page):
    names = named(page)

    assert len(names) > 20
    assert [f"{file}::{name}" for file, name in names if not exists(file, name)] == []


def test_specification_has_proof_of_every_requirement():
    rows = [line for line in SPECIFICATION.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| the specification", "| feature"))]

    assert len(rows) > 15
    assert [row for row in rows if not re.search(r"`[\w/]+\.py::|`scripts/", row.rsplit("|", 2)[1])] == []


def test_reliability_page_has_test_of_every_failure():
    rows = [line for line in tables().splitlines() if line.startswith("| ") and not line.startswith("| failure")]

    assert len(rows) > 30
    assert [row for row in rows if not NAMED.search(row.rsplit("|", 2)[1])] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_links_to_existing_files_and_headings(page):
    links = [link for link in LINK.findall(FENCED.sub("", page.read_text())) if "://" not in link]

    assert [link for link in links if not resolves(page, link)] == []


@pytest.mark.parametrize(("page", "column"), [(TROUBLESHOOTING, 1), (PAGE, 2)], ids=lambda value: str(value)[-18:])
def test_page_quotes_messages_of_the_sources(page, column):
    rows = [line.split("|") for line in page.read_text().splitlines() if line.startswith("| ")]
    quotes = [quote for row in rows for quote in re.findall(r"`([^`]+)`", row[column]) if " " in quote]
    quotes = [quote for quote in quotes if not quote.startswith("ray ") and quote not in OF_RAY]
    parts = {part.strip(" ,:") for quote in quotes for part in VARYING.split(quote)}
    messages = source_texts()

    assert len(parts) > 10
    assert [part for part in sorted(parts) if part not in messages] == []


class TestReference:
    """The pages of docs/reference are made from the code."""

    @pytest.mark.parametrize("name", ["errors.md", "environment.md", "commands.md"])
    def test_page_is_current(self, name):
        text = (DOCS / "reference" / name).read_text()

        assert text == reference.pages()[name], "run: scripts/docs reference, or python scripts/lib/reference.py"

    def test_rows_of_node_config_are_current(self):
        text = reference.CONFIGURATION.read_text()

        assert text == reference.configuration_page(text), "run: scripts/docs reference"

    def test_rows_of_node_config_follow_the_models(self):
        text = reference.CONFIGURATION.read_text()
        outdated = re.sub(r"^\| `metrics_enabled` .*\n", "", text, flags=re.MULTILINE).replace("The image, if", "If")

        assert outdated != text
        assert reference.configuration_page(outdated) == text

    def test_tree_of_errors_names_every_class_and_other_code(self):
        tree = re.findall(r"^ +[-x=] (\w+)(?: \((\w+)\))?", errors.__doc__, re.MULTILINE)
        classes = {error.__name__: error.code for error in reference._tree(RayDogError) if error is not LaunchBackedOff}

        assert {name: code or name for name, code in tree if name != "LaunchBackedOff"} == classes

    def test_every_error_has_a_remedy(self):
        remedies = [reference.remedy_of(error) for error in reference._tree(RayDogError)]

        assert len(remedies) > 25
        assert [remedy for remedy in remedies if remedy[-1] not in ".?"] == []


def test_every_command_exists_with_its_options_and_files():
    found = commands()

    assert len(found) > 150
    assert [f"{command}: {problem}" for command in found for problem in problems(command)] == []


def test_every_command_has_a_test_or_a_reason():
    known = rows_of_commands()
    used = {str(command): row_of(command.words) for command in commands()}
    inner = {"ray status", "serve run"}  # commands within `ray exec`

    assert [command for command, row in used.items() if row is None] == []
    assert set(known) - inner - set(used.values()) == set()
    assert [name for name, reason in known.items() if not reason] == []


def test_tests_named_for_commands_exist():
    names = NAMED.findall(" ".join(rows_of_commands().values()))

    assert len(names) > 20
    assert [f"{file}::{name}" for file, name in names if not exists(file, name)] == []


BLOCK = """\
Text.

   ```sh
   A=1 raydog list --namespace x    # a comment
   ray exec c.yaml 'ray status --bad' && cd x; set -e
   cat > job.py <<'JOB'
   ray nothing
   JOB
   for x in 1 2; do raydog list; done
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
        (9, "raydog list"),
        (10, "raydog logs --nope 3"),
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


def rows_of_commands() -> dict[str, str]:
    """The beginnings of commands, and the test or reason of each."""
    cells = [line.split("|")[1:3] for line in COMMANDS_PAGE.read_text().splitlines() if line.startswith("| `")]
    return {name: reason.strip() for names, reason in cells for name in re.findall(r"`([^`]+)`", names)}


def row_of(words: tuple[str, ...]) -> str | None:
    beginnings = (" ".join(words[:length]) for length in range(len(words), 0, -1))
    return next((beginning for beginning in beginnings if beginning in rows_of_commands()), None)


def tables() -> str:
    """The part of the page with the tables of failures."""
    return PAGE.read_text().split("## Combined failures")[0]


def named(page: Path) -> list[tuple[str, str]]:
    return [(file, name) for file, name in NAMED.findall(page.read_text()) if "/" in file or name]


def exists(file: str, name: str) -> bool:
    path = TESTS / file
    if not path.is_file():
        return False
    return not name or name in functions_of(path)


@cache
def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def resolves(page: Path, link: str) -> bool:
    """Whether a relative link leads to a file and, if it names one, to a heading of it."""
    path, _, heading = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not heading or heading in headings(target))


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    texts = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


@cache
def source_texts() -> str:
    """All string literals of the sources on one line, with the computed parts of f-strings left out."""
    texts = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return re.sub(r"\s+", " ", "\n".join(texts))
