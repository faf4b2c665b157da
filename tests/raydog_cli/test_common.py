"""Tables of `raydog`: what others wrote cannot control a terminal, and a pipe gets all of it."""

import logging

import pytest

from raydog_cli.common import cut, reported_errors
from raydog_cli.tables import show_table

HOSTILE = "no capacity\x1b[2J\x07 [red]here[/red]\n\tnow"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_table_shows_foreign_text_without_control_characters(capsys, monkeypatch, is_terminal):
    monkeypatch.setattr("raydog_cli.common.is_terminal", lambda: is_terminal)

    show_table("Nodes", ["node", "reason"], [["cpu-1", HOSTILE]])

    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "[red]here[/red]" in shown


@pytest.mark.parametrize(("is_terminal", "length"), [(True, 60), (False, 200)])
def test_only_a_terminal_gets_shortened_reasons(monkeypatch, is_terminal, length):
    monkeypatch.setattr("raydog_cli.common.is_terminal", lambda: is_terminal)

    assert len(cut("x" * 200)) == length


def test_log_is_shown_as_lines_without_tracebacks(capsys):
    log = logging.getLogger("yellowdog_ray.platform.calls")
    with reported_errors():
        log.warning("odd \x1b answer", exc_info=ValueError("x"))

    assert capsys.readouterr().err == "odd   answer\n"
