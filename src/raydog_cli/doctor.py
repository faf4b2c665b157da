"""`raydog doctor`: what is wrong before anything is spent. Options and lines; no logic."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raydog_cli.common import NOT_FOUND, JsonOption, print_json, print_safe, reported_errors

if TYPE_CHECKING:
    from yellowdog_ray.inventory.doctor import Line

_MARKS = {"ok": "✓", "failed": "✗", "warning": "!", "not checked": "-"}
_PLAIN_MARKS = {"ok": "ok", "failed": "FAILED", "warning": "warning", "not checked": "-"}


def doctor(
    yaml: Annotated[Path | None, typer.Argument(help="The cluster's YAML file.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Check everything that a cluster needs, before anything is spent. Exit code 1 if something is wrong.

    Nothing is created or changed. Without a YAML, this machine and the account are checked. Each line begins with ✓,
    with ✗ and the remedy, with ! for a warning, or with - for what was not checked, and why.

    For example:

        raydog doctor

        raydog doctor raydog.yaml

        raydog doctor raydog.yaml --json
    """
    with reported_errors():
        from yellowdog_ray.inventory.doctor import diagnose

        lines = diagnose(yaml, _report_slow)
    if as_json:
        from raydog_cli.shapes import of_checks

        print_json(of_checks(lines))
    else:
        _show(lines, yaml)
    if any(check.state.value == "failed" for _, check in lines):
        raise typer.Exit(NOT_FOUND)


def _report_slow(subjects: Sequence[str]) -> None:
    print_safe(f"still checking: {', '.join(subjects)}", err=True)


def _show(lines: Sequence[Line], yaml: Path | None) -> None:
    marks = _MARKS if _can_print("".join(_MARKS.values())) else _PLAIN_MARKS
    heading = None
    for section, check in lines:
        if section != heading:
            if heading is not None:
                typer.echo()
            print_safe(section)
            heading = section
        print_safe(f"  {marks[check.state.value]} {check.subject}: {check.text}")
    numbers = {state: sum(check.state.value == state for _, check in lines) for state in _MARKS}
    typer.echo()
    print_safe(
        f"{numbers['failed']} wrong, {numbers['warning']} warning(s), {numbers['not checked']} not checked, "
        f"{numbers['ok']} good"
    )
    if yaml is None:
        print_safe("`raydog doctor YAML` also checks a cluster's YAML, SSH key, templates and pools")


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
