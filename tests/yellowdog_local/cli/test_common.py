from __future__ import annotations

from typing import Any

import pytest
import typer

from yellowdog_local.cli import common
from yellowdog_local.service.directory import LocalPlatformError


@pytest.mark.parametrize("words", [["reset"], ["calls"], ["top"], ["fault", "list"], ["fault", "add", "hang"]])
def test_command_exits_with_three_without_a_platform(raydog: Any, words: list[str]) -> None:
    result = raydog(*words)
    assert (result.exit_code, "`raydog local start` starts one" in result.stderr) == (3, True)


def test_error_is_printed_as_one_sentence_with_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    @common.reports_errors
    def command(text: str) -> None:
        raise LocalPlatformError(text)

    with pytest.raises(typer.Exit) as ended:
        command("the port is taken")
    assert (ended.value.exit_code, capsys.readouterr().err) == (1, "error: the port is taken\n")


def test_progress_outside_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with common.progress("starting") as report:
        report("waiting")
    assert capsys.readouterr().err == "starting ...\nwaiting ...\n"
