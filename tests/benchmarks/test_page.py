from pathlib import Path

import pytest
from benchmarks.__main__ import CASES, PAGES
from benchmarks.page import NoSuchMarker, fill

PAGE = """\
# Title
<!-- bench: listing -->
old
<!-- end -->
between
<!-- bench: growth -->
<!-- end -->
"""


def test_fill_replaces_text_between_markers():
    filled = fill(PAGE, {"listing": "new"})
    assert "old" not in filled
    assert "<!-- bench: listing -->\n\nnew\n\n<!-- end -->\nbetween\n" in filled


def test_fill_is_idempotent():
    once = fill(PAGE, {"listing": "new", "growth": "more"})
    assert fill(once, {"listing": "new", "growth": "more"}) == once


def test_fill_keeps_blocks_without_new_text():
    assert fill(PAGE, {}) == PAGE


def test_fill_fails_with_name_of_missing_marker():
    with pytest.raises(NoSuchMarker, match="day"):
        fill(PAGE, {"day": "new"})


@pytest.mark.parametrize("case", CASES)
def test_page_has_marker_of_every_case(case):
    page: Path = PAGES.get(case, PAGES[None])
    fill(page.read_text(), {case: ""})
