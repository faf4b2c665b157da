"""Writes docs/reference/ from the code, and the rows of `node_config` in docs/configuration.md. See scripts/docs."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from raydog_cli.main import app
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import LaunchBackedOff, RayDogError
from yellowdog_ray.node.variables import CONTRACT

DIRECTORY = Path(__file__).resolve().parents[2] / "docs/reference"
CONFIGURATION = DIRECTORY.parent / "configuration.md"
_NODE_CONFIG = re.compile(
    r"(## `available_node_types\.<type>\.node_config`\n\n\| key \| meaning \|\n\|---\|---\|\n)((?:\|.*\n)*)"
)
_USER = re.compile(r"\bthe user\b(?!')|^as `YD_API_KEY_ID`")
_NOTE = "This page is made from {source} by `scripts/docs reference`; a test compares them."


def main() -> None:
    """Write every page."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in pages().items():
        (DIRECTORY / name).write_text(text)
    CONFIGURATION.write_text(configuration_page(CONFIGURATION.read_text()))


def pages() -> dict[str, str]:
    """The text of each page, by file name."""
    return {"errors.md": errors_page(), "environment.md": environment_page(), "commands.md": commands_page()}


def errors_page() -> str:
    """Every error with its code, in the order of the tree."""
    rows = [
        f"| {_code(error)} | {_meaning(error)} | {remedy_of(error)} |"
        for error in _tree(RayDogError)
        if error is not LaunchBackedOff  # its code is that of the failure behind it
    ]
    return _page(
        "Errors",
        "[errors.py](../../src/yellowdog_ray/errors.py)",
        "A message of RayDog states the problem and the remedy. Its code is a stable word for scripts, and the name "
        "of the error in logs. For a failed launch it is the "
        "[category](../reliability.md#categories-of-failed-launches). "
        "[Troubleshooting](../troubleshooting.md) lists messages and symptoms.",
        "| code | meaning | remedy |\n|---|---|---|",
        *rows,
    )


def configuration_page(page: str) -> str:
    """The page about the YAML with one row for each key of `node_config`. A row with the current text keeps its links.

    Raises:
        ValueError: the page has no such table.
    """
    found = _NODE_CONFIG.search(page)
    if found is None:
        raise ValueError(f"{CONFIGURATION.name}: the table of node_config is missing")
    current = {re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", row): row for row in found[2].splitlines()}
    rows = [f"| `{key}` | {field.description} |" for key, field in NodeConfig.model_fields.items()]
    table = "".join(f"{current.get(row, row)}\n" for row in rows)
    return page[: found.start(2)] + table + page[found.end(2) :]


def remedy_of(error: type[RayDogError]) -> str:
    """What the user can do, from the class's docstring."""
    found = re.search(r"Remedy: (.*)", inspect.getdoc(error) or "", re.DOTALL)
    if found is None:
        raise ValueError(f"{error.__name__}: the docstring needs a part `Remedy: ...`")
    remedy = _one_line(found[1])
    return remedy[0].upper() + remedy[1:]


def environment_page() -> str:
    """Every variable, those that a user sets first."""
    users = {name for name, variable in CONTRACT.items() if _USER.search(variable.written_by)}
    header = "| variable | set by | read by | if absent |\n|---|---|---|---|"

    def rows(names: list[str]) -> list[str]:
        return [
            f"| `{name}` | {CONTRACT[name].written_by} | {CONTRACT[name].read_by} | {CONTRACT[name].absent} |"
            for name in names
        ]

    return _page(
        "Environment variables",
        "[variables.py](../../src/yellowdog_ray/node/variables.py)",
        "*Laptop* is a `ray` command on your machine. *Monitor* is Ray's autoscaler on the head. A *task script* runs "
        "Ray on a node. [Configuration](../configuration.md#credentials) describes the search for the API key.",
        "## Variables that you set\n",
        header,
        *rows(sorted(users)),
        "\n## Variables between RayDog's and Ray's processes\n",
        "A [task script](../task-scripts.md) of your own reads some of them. Do not set them.\n",
        header,
        *rows([name for name in CONTRACT if name not in users]),
    )


def commands_page() -> str:
    """`raydog` and each command below it."""
    command: Any = typer.main.get_command(app)
    command.list_commands(None)  # mounts `local`
    return _page(
        "The command `raydog`",
        "the commands' own help",
        "`ray up`, `ray down` and the other commands of a cluster are Ray's. `yellowdog-local` is the same as `raydog "
        "local`. `raydog --install-completion` completes commands and options in your shell.",
        *_commands(command, "raydog"),
    )


def _commands(command: Any, name: str) -> Iterator[str]:
    arguments = "".join(f" {_argument(parameter)}" for parameter in command.params if _is_argument(parameter))
    yield f"## {name}{arguments}\n"
    yield _help(command.help or "")
    options = [parameter for parameter in command.params if parameter.opts and not _is_argument(parameter)]
    options = [option for option in options if not getattr(option, "hidden", False)]
    if options:
        yield "| option | meaning |\n|---|---|"
        yield from (f"| {_flags(option)} | {_one_line(option.help or '')}{_default(option)} |" for option in options)
        yield ""
    for below in getattr(command, "commands", {}).values():
        yield from _commands(below, f"{name} {below.name}")


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument(parameter: Any) -> str:
    return str(parameter.name).upper()


def _flags(option: Any) -> str:
    return ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts])


def _default(option: Any) -> str:
    if isinstance(option.show_default, str):  # words for a default that is computed
        return f" Default: {option.show_default}."
    default = option.default
    if default in (None, False, ()) or callable(default) or option.show_default is False:
        return ""
    return f" Default: {getattr(default, 'value', default)}."


def _help(text: str) -> str:
    """Help as Markdown: indented lines are commands, `[bold]` is bold."""
    marked = re.sub(r"\[/?bold\]", "**", inspect.cleandoc(text))
    blocks = re.sub(
        r"(?:^    .*\n*)+", lambda found: f"```sh\n{_dedented(found[0])}\n```\n\n", marked, flags=re.MULTILINE
    )
    return f"{blocks.strip()}\n"


def _dedented(block: str) -> str:
    return "\n".join(line.strip() for line in block.splitlines() if line.strip())


def _tree(error: type[RayDogError]) -> Iterator[type[RayDogError]]:
    for below in error.__subclasses__():
        if below.__module__ == error.__module__:
            yield below
            yield from _tree(below)


def _code(error: type[RayDogError]) -> str:
    """The code, and the class where it has another name."""
    name = "" if error.code == error.__name__ else f" (class `{error.__name__}`)"
    return f"`{error.code}`{name}"


def _meaning(error: type[RayDogError]) -> str:
    return _one_line((inspect.getdoc(error) or "").split("Remedy:", maxsplit=1)[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _page(title: str, source: str, *parts: str) -> str:
    introduction, *rest = parts
    texts = [textwrap.fill(text, 120, break_on_hyphens=False) for text in (introduction, _NOTE.format(source=source))]
    return "\n\n".join([f"# {title}", *texts, "\n".join(rest).rstrip()]) + "\n"


if __name__ == "__main__":
    main()
    sys.stdout.write(f"Written: the pages of {DIRECTORY}, and the rows of node_config in {CONFIGURATION}\n")
