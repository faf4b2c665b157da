"""The words of docstrings and comments in the sources."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"

CLAUSE = re.compile(r"(?:What|Whatever|Who|Whoever)\b|That (?:is|was|has|had|can|may|must|will|would|does|did)\b")
"""The beginning of a sentence whose subject is a clause or a bare pronoun."""

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|(?<=:)\n\s*")


@pytest.mark.parametrize("program", sorted(path.name for path in SOURCES.iterdir() if path.is_dir()))
def test_sentences_of_sources_have_a_noun_as_their_subject(program):
    found = [
        f"{file.relative_to(SOURCES)}:{line}: {sentence}"
        for file in sorted((SOURCES / program).rglob("*.py"))
        for line, text in (*docstrings_of(file), *comments_of(file))
        for sentence in sentences_of(text)
        if CLAUSE.match(sentence) and not sentence.endswith("?")
    ]

    assert not found, "name the subject, as in `The tasks that ...`:\n" + "\n".join(found)


def docstrings_of(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is a statement: docstrings of modules, classes, functions and attributes."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def comments_of(file: Path) -> Iterator[tuple[int, str]]:
    """First line and text of each block of comments."""
    block: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if block and line != last + 1:
            yield last - len(block) + 1, " ".join(block)
            block = []
        block.append(token.string.lstrip("# "))
        last = line
    if block:
        yield last - len(block) + 1, " ".join(block)


def sentences_of(text: str) -> list[str]:
    return [" ".join(sentence.split()) for sentence in SENTENCE_END.split(text.strip())]
