"""What a guard is, and how one is taken out of a copy of the source. Starts nothing."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROVIDER = "src/yellowdog_ray"


@dataclass(frozen=True)
class Edit:
    """A piece of text, and what stands there when it is taken out.

    Attributes:
        file: where it is, below the provider's source (or, with a `/` in front, below the repository).
        text: it stands there exactly once.
        without: what takes its place.
    """

    file: str
    text: str
    without: str

    @property
    def path(self) -> str:
        """The file, below the repository."""
        return self.file.removeprefix("/") if self.file.startswith("/") else f"{PROVIDER}/{self.file}"

    def made_in(self, source: str) -> str:
        """The source without the text.

        Raises:
            GuardError: the text is not there, or more than once, or what remains is no Python.
        """
        found = source.count(self.text)
        if found != 1:
            raise GuardError(f"the text stands {found} times in {self.path}, not once: {self.text!r}")
        changed = source.replace(self.text, self.without)
        if self.path.endswith(".py"):
            try:
                ast.parse(changed)
            except SyntaxError as error:
                raise GuardError(f"{self.path} is no Python without {self.text!r}: {error}") from error
        return changed


@dataclass(frozen=True)
class Guard:
    """What keeps a promise of docs/reliability.md.

    Attributes:
        keeps: what holds because of it, in a few words.
        file: see `Edit`.
        text: see `Edit`.
        without: see `Edit`.
        tests: who must notice when it is gone, each as `file::function`, as the page names them.
        also: what must go with it, because it would keep the same promise alone.
    """

    keeps: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]
    also: tuple[Edit, ...] = ()

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All that is taken out."""
        return (Edit(self.file, self.text, self.without), *self.also)

    def take_out_of(self, root: Path) -> None:
        """Change the files of a copy of the repository.

        Raises:
            GuardError: a text is not there, or more than once, or what remains is no Python.
        """
        for edit in self.edits:
            path = root / edit.path
            path.write_text(edit.made_in(path.read_text()))


class GuardError(Exception):
    """A guard cannot be taken out as its entry says."""


def node_ids(test: str, root: Path = ROOT) -> list[str]:
    """What pytest calls a test of the page, whose class the page leaves out.

    Raises:
        GuardError: there is no such test.
    """
    file, _, name = test.partition("::")
    path = root / "tests" / file
    if not path.is_file():
        raise GuardError(f"there is no file tests/{file}")
    if not name:
        return [f"tests/{file}"]
    module = ast.parse(path.read_text())
    holders = [("", module.body)] + [
        (f"{node.name}::", node.body) for node in module.body if isinstance(node, ast.ClassDef)
    ]
    found = [
        f"tests/{file}::{prefix}{name}"
        for prefix, body in holders
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    if not found:
        raise GuardError(f"tests/{file} has no {name}")
    return found
