r"""The list of guards, the tests that must fail without them, and the removal of a guard from a copy.

A line of guards.txt is `ROW | OLD => NEW`. ROW begins one row of docs/reliability.md; without it, the row is the one
above. NEW replaces OLD, which exists once in the provider, in any layout, or in the file in front (`launch.py: OLD`).
`\n` in NEW begins a line, equally indented. `OLD => NEW ++ OLD => NEW` keep one promise: both are removed together.
"""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

Guard = tuple[str, ...]
_TEST = re.compile(r"`([\w/]+\.py::\w+)`")


def guards() -> dict[str, list[Guard]]:
    """The guards of each row."""
    found: dict[str, list[Guard]] = {}
    for line in (ROOT / "tests/guards/guards.txt").read_text().splitlines():
        row, _, guard = line.partition("|")
        if row:
            (name,) = [name for name in row_tests() if name.startswith(row.strip())]
        found.setdefault(name, []).append(tuple(guard.strip().split(" ++ ")))
    return found


@cache
def row_tests() -> dict[str, set[str]]:
    """The tests of each row, as `file::function`, without end-to-end tests."""
    lines = (ROOT / "docs/reliability.md").read_text().splitlines()
    rows = [line.split("|") for line in lines if line.startswith("| ") and _TEST.search(line)]
    return {row[1].strip(): {test for test in _TEST.findall(row[-2]) if not test.startswith("e2e/")} for row in rows}


def without(line: str, root: Path = ROOT) -> tuple[Path, str]:
    """The file of a guard's line, and its text without the guard; ValueError or SyntaxError if that is impossible."""
    text, _, new = line.partition(" =>")
    file, old = re.findall(r"^(?:([\w/]+\.(?:py|yaml)): )?(.*)", text)[0]
    pattern = re.compile(r"\s*".join(re.escape(token) for token in re.findall(r"\w+|[^\w\s]", old)))
    paths = [*root.glob("src/yellowdog_ray/**/*.py"), *root.glob("examples/**/*.yaml")]
    sources = [(path, path.read_text()) for path in paths if path.as_posix().endswith(file or ".py")]
    hits = [(path, source, hit) for path, source in sources for hit in pattern.finditer(source)]
    if len(hits) != 1:
        raise ValueError(f"exists {len(hits)} times, in {[path.name for path, *_ in hits]}: {old}")
    path, source, hit = hits[0]
    indentation = re.findall(r"^ *", before := source[: hit.start()], re.MULTILINE)[-1]
    changed = before + new.removeprefix(" ").replace("\\n", f"\n{indentation}") + source[hit.end() :]
    ast.parse(changed if path.suffix == ".py" else "")
    return path, changed
