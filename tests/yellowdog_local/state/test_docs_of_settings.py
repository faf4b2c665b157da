"""The page of differences names every setting once, and no other."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from yellowdog_local.state.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "differences.md"


def _rows() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    assumptions = text[text.index("## Assumptions") : text.index("### Exceptions")]
    rows = [line.strip("|").split("|") for line in assumptions.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if "---" not in row[0] and row[2].strip() != "setting"]


def test_page_has_one_row_for_each_setting_and_no_other() -> None:
    named = Counter(name for row in _rows() for name in re.findall(r"`([^`]*)`", row[2]))
    assert set(named) == set(Settings.model_fields)
    assert {name for name, count in named.items() if count > 1} == set()


def test_row_without_a_setting_has_a_reason() -> None:
    for subject, _, setting in _rows():
        assert "`" in setting or setting == "a fault" or setting.startswith("none: "), subject


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
