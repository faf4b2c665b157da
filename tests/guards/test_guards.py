"""The list of guards covers docs/reliability.md, and fits the source."""

import pytest

from tests.guards.guard import guards, row_tests, without


def test_every_row_has_a_test_and_a_guard():
    assert [row for row in row_tests() if not (guards().get(row) and row_tests()[row])] == []


@pytest.mark.parametrize("line", [line for of_row in guards().values() for guard in of_row for line in guard])
def test_guard_exists_once_and_can_be_removed(line):
    path, changed = without(line)
    assert changed != path.read_text()


@pytest.mark.parametrize("line", ["import => x", "no such text => x", "READ_TIMEOUT = => ((", "no arrow"])
def test_line_that_cannot_be_applied_is_refused(line):
    with pytest.raises((ValueError, SyntaxError)):
        without(line)
