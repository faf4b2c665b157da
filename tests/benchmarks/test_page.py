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


def test_a_text_takes_the_place_of_what_was_between_its_markers():
    filled = fill(PAGE, {"listing": "new"})
    assert "old" not in filled
    assert "<!-- bench: listing -->\n\nnew\n\n<!-- end -->\nbetween\n" in filled


def test_filling_twice_is_filling_once():
    once = fill(PAGE, {"listing": "new", "growth": "more"})
    assert fill(once, {"listing": "new", "growth": "more"}) == once


def test_what_nothing_is_known_of_stays_as_it_is():
    assert fill(PAGE, {}) == PAGE


def test_a_text_without_a_place_is_an_error_that_names_it():
    with pytest.raises(NoSuchMarker, match="day"):
        fill(PAGE, {"day": "new"})


@pytest.mark.parametrize("case", CASES)
def test_every_case_has_its_place_on_its_page(case):
    page: Path = PAGES.get(case, PAGES[None])
    fill(page.read_text(), {case: ""})
