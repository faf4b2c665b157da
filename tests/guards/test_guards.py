"""The list of guards fits the source and the page, so that it cannot rot."""

import re

import pytest

from tests.guards.guard import ROOT, Edit, GuardError, node_ids
from tests.guards.guards import GUARDS, UNGUARDED

PAGE = ROOT / "docs/reliability.md"

NAMED = re.compile(r"`([\w/]+\.py::\w+)`")

ALL = [pytest.param(guard, id=f"{guard.file}-{guard.keeps}") for guards in GUARDS.values() for guard in guards]


def rows() -> dict[str, set[str]]:
    """The tests that each row of the page names, by the row's first cell."""
    table = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if NAMED.search(line)]
    return {cells[0].strip(): set(NAMED.findall(cells[-1])) for cells in table if len(cells) > 1}


@pytest.mark.parametrize("guard", ALL)
def test_a_guard_is_still_where_its_entry_says(guard):
    for edit in guard.edits:
        source = (ROOT / edit.path).read_text()
        assert edit.made_in(source) != source


@pytest.mark.parametrize("guard", ALL)
def test_the_tests_of_a_guard_exist(guard):
    assert [node_ids(test) for test in guard.tests]


def test_every_row_of_the_page_has_a_guard_or_the_reason_why_it_has_none():
    assert GUARDS.keys().isdisjoint(UNGUARDED)
    assert set(rows()) == GUARDS.keys() | UNGUARDED.keys()


def test_every_test_of_the_page_is_one_that_a_guard_of_its_row_must_fail():
    guarded = {row: {test for guard in guards for test in guard.tests} for row, guards in GUARDS.items()}
    named = {row: {test for test in tests if not test.startswith("e2e/")} for row, tests in rows().items()}

    for row, tests in named.items():
        assert guarded.get(row, set()) - tests - rows()[row] == set(), row
        if row not in UNGUARDED:
            assert tests - guarded[row] == set(), row


def test_a_text_that_is_gone_or_stands_twice_is_told():
    edit = Edit("clock.py", "once", "")

    for source in ("never", "once = once"):
        with pytest.raises(GuardError, match=r"stands . times in src/yellowdog_ray/clock\.py, not once"):
            edit.made_in(source)


def test_what_remains_is_python():
    with pytest.raises(GuardError, match="is no Python without"):
        Edit("clock.py", ")", "").made_in("f(x)")
