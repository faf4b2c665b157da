r"""The list of guards, the tests that must fail without them, and the removal of a guard from a copy.

In guards.txt a line `## ROW` names a row of docs/reliability.md. Each line below it, `OLD => NEW`, is a guard: NEW
replaces OLD, which exists once in the provider, in any file and layout. A file in front limits the search:
`launch.py: OLD => NEW`. `\n` in NEW begins a line with the same indentation. A line `+ OLD => NEW` belongs to the guard
above it: both keep the same promise, so they are removed together.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

Guard = tuple[str, ...]
_TEST = re.compile(r"`([\w/]+\.py::\w+)`")
_LINE = re.compile(r"(?:(?P<file>[\w/]+\.(?:py|yaml)): )?(?P<old>.+?) =>(?: (?P<new>.*))?")


def guards() -> dict[str, list[Guard]]:
    """The guards of each row."""
    found: dict[str, list[Guard]] = {}
    for line in (ROOT / "tests/guards/guards.txt").read_text().splitlines():
        if line.startswith("## "):
            of_row = found.setdefault(line.removeprefix("## "), [])
        elif line.startswith("+ "):
            of_row[-1] += (line.removeprefix("+ "),)
        else:
            of_row.append((line,))
    return found


def row_tests() -> dict[str, set[str]]:
    """The tests of each row, as `file::function`, without end-to-end tests."""
    lines = (ROOT / "docs/reliability.md").read_text().splitlines()
    rows = [line.split("|") for line in lines if line.startswith("| ") and _TEST.search(line)]
    return {row[1].strip(): {test for test in _TEST.findall(row[-2]) if not test.startswith("e2e/")} for row in rows}


def without(line: str, root: Path = ROOT) -> tuple[Path, str]:
    """The file of a guard's line, and its text without the guard; ValueError or SyntaxError if that is impossible."""
    match = _LINE.fullmatch(line)
    if not match:
        raise ValueError(f"not of the form OLD => NEW: {line}")
    text = re.compile(r"\s*".join(re.escape(token) for token in re.findall(r"\w+|[^\w\s]", match["old"])))
    paths = [*root.glob("src/yellowdog_ray/**/*.py"), *root.glob("examples/**/*.yaml")]
    sources = [(path, path.read_text()) for path in paths if path.as_posix().endswith(match["file"] or ".py")]
    hits = [(path, source, hit) for path, source in sources for hit in text.finditer(source)]
    if len(hits) != 1:
        raise ValueError(f"exists {len(hits)} times, in {[path.name for path, *_ in hits]}: {match['old']}")
    path, source, hit = hits[0]
    begun = source[: hit.start()].rpartition("\n")[2]
    indentation = begun[: len(begun) - len(begun.lstrip())]
    changed = hit.string[: hit.start()] + (match["new"] or "").replace("\\n", f"\n{indentation}") + source[hit.end() :]
    if path.suffix == ".py":
        ast.parse(changed)
    return path, changed
