"""The shell commands in the pages: read them from fenced blocks, and compare them with the programs that they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("packages/*/*.md"), *ROOT.glob("docs/**/*.md")])

_BLOCK = re.compile(r"^( *)```(?:sh|bash|console)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<-?'?(\w+)'?")
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)
_OPERATORS = {";", "&", "&&", "|", "||", ">", ">>", "<", "<<", "(", ")"}
_KEYWORDS = {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!"}
_LOOPS = {"for", "case", "esac", "select", "break", "continue"}
"""Words of the shell before a command, and those that have none."""

_FOLDERS = ("benchmarks", "docs", "examples", "images", "packages", "scripts", "tests")


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        page: the page's path below the repository.
        line: its line there.
        words: the program and its arguments.
    """

    page: str
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


def commands() -> list[Command]:
    """Every command of every page."""
    return [command for page in PAGES for command in commands_of(str(page.relative_to(ROOT)), page.read_text())]


def commands_of(page: str, text: str) -> Iterator[Command]:
    """The commands in the fenced blocks of a page's text."""
    for block in _BLOCK.finditer(text):
        number = text.count("\n", 0, block.start(2)) + 1
        end_of_heredoc = None
        lines = block[2].replace("\\\n", "  ").splitlines()
        for line in lines:
            if end_of_heredoc:
                end_of_heredoc = None if line.strip() == end_of_heredoc else end_of_heredoc
            else:
                heredoc = _HEREDOC.search(line)
                end_of_heredoc = heredoc[1] if heredoc else None
                yield from (Command(page, number, words) for words in _commands_of_line(line))
            number += 1


def _commands_of_line(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(_with_substitutions(line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for word in [*lexer, ";"]:
        if word in _OPERATORS:
            if words and words[0] not in _LOOPS:
                yield tuple(words)
            words, redirected = [], word[0] in "<>"
        elif redirected:
            redirected = False
        elif words or not (_ASSIGNMENT.fullmatch(word) or word in _KEYWORDS):
            words.append(word)


def _with_substitutions(line: str) -> str:
    """A line whose `name=$(command)` is the command alone."""
    return re.sub(r"^(\s*)\w+=\$\((.*)\)\s*$", r"\1\2", line)


def problems(command: Command) -> Iterator[str]:
    """What of a command does not exist: a subcommand, an option, or a file of the repository."""
    program, *arguments = command.words
    if program in ("raydog", "yellowdog-local", "ray"):
        yield from _problems_of_click(_tree(program), [program], arguments)
    elif program.startswith("scripts/"):
        text = _text_of_script(program)
        options = [word.partition("=")[0] for word in arguments if word.startswith("--")]
        yield from (f"{program} has no option {option}" for option in options if option not in text)
    for word in command.words:
        if word.split("/")[0] in _FOLDERS and "/" in word and not (ROOT / word).exists():
            yield f"there is no {word}"
    if command.words[:2] == ("ray", "exec"):
        for inner in _commands_of_line(command.words[-1]):
            yield from problems(Command(command.page, command.line, inner))


@cache
def _text_of_script(program: str) -> str:
    """A script's text, with that of the module that parses its options."""
    file = ROOT / program
    text = file.read_text() if file.is_file() else ""
    modules = (
        ROOT / name.replace(".", "/") / "__main__.py" for name in re.findall(r" -m ((?:tests|benchmarks)[\w.]*)", text)
    )
    return "\n".join([text, *(module.read_text() for module in modules if module.is_file())])


@cache
def _tree(program: str) -> Any:
    if program == "ray":
        from ray.scripts.scripts import cli

        return cli
    if program == "raydog":
        from raydog_cli.main import app
    else:
        from yellowdog_local.cli.main import app
    command: Any = typer.main.get_command(app)
    command.list_commands(None)  # mounts `raydog local`
    return command


def _problems_of_click(tree: Any, path: list[str], arguments: Sequence[str]) -> Iterator[str]:
    left = list(arguments)
    values = 0
    while left:
        word = left.pop(0)
        if word == "--":
            return
        if word.startswith("-") and len(word) > 1:
            option = _option(tree, word.partition("=")[0])
            if option is None:
                yield f"{' '.join(path)} has no option {word}"
            elif not option.is_flag and "=" not in word:
                left = left[1:]
        elif hasattr(tree, "commands"):
            inner = tree.commands.get(word)
            if inner is None:
                yield f"{' '.join(path)} has no command {word}"
            else:
                yield from _problems_of_click(inner, [*path, word], left)
            return
        else:
            values += 1
    yield from _problems_of_count(tree, path, values)


def _problems_of_count(tree: Any, path: list[str], values: int) -> Iterator[str]:
    accepted = [parameter for parameter in tree.params if parameter.param_type_name == "argument"]
    required = sum(parameter.required for parameter in accepted)
    maximum = float("inf") if any(parameter.nargs < 0 for parameter in accepted) else len(accepted)
    if not required <= values <= maximum:
        yield f"{' '.join(path)} takes {required} to {maximum} arguments, not {values}"


def _option(command: Any, name: str) -> Any:
    """An option by its name. Typer has a copy of click's classes, so the kind of a parameter is its name."""
    options = (parameter for parameter in command.params if parameter.param_type_name == "option")
    return next((option for option in options if name in (*option.opts, *option.secondary_opts)), None)
