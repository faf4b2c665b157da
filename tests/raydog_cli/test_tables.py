"""Tables in terminals of any width: words, ids and states stay whole."""

import pytest

from raydog_cli.tables import print_words, show_table

COLUMNS = ("node", "type", "phase", "age", "machine", "market", "address", "reason")
ROWS = [
    ["head-1f0c9a42", "head", "running", "2 h 9 min", "m6i.large", "on demand", "10.0.0.4", ""],
    ["cpu-small-5b1d0e7a9c33", "cpu-small", "running", "12 min 3 s", "c6i.large", "spot", "10.100.100.17", ""],
    [
        "cpu-c90a71be20f4",
        "cpu",
        "pending",
        "",
        "",
        "",
        "",
        "no machine: InsufficientInstanceCapacity: none in eu-west-2",
    ],
]
WHOLE, LEAST = ("node", "phase", "address"), ("market", "machine", "type", "age", "address")


@pytest.fixture
def shown(monkeypatch, capsys):
    """Gives the table and the error output of a terminal of a width."""

    def show(width, **options):
        monkeypatch.setattr("raydog_cli.common.is_terminal", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        show_table("Nodes", COLUMNS, ROWS, **options)
        return capsys.readouterr()

    return show


@pytest.mark.parametrize("width", [72, 80, 100, 132, 200])
def test_table_fits_a_terminal_without_breaking_ids_states_and_words(shown, width):
    table = shown(width, whole=WHOLE, least=LEAST).out

    assert max(map(len, table.splitlines())) <= width
    for word in ("cpu-small-5b1d0e7a9c33", "running", "pending", "eu-west-2"):
        assert word in table


def test_table_leaves_the_least_columns_out_and_names_them(shown):
    narrow, wide = shown(80, whole=WHOLE, least=LEAST), shown(200, whole=WHOLE, least=LEAST)

    assert narrow.err == "left out in this width: type, age, machine, market\n"
    assert "m6i.large" not in narrow.out
    assert (wide.err, "m6i.large" in wide.out, "on demand" in wide.out) == ("", True, True)


def test_table_of_a_tiny_terminal_has_every_character(shown):
    table = shown(30, whole=WHOLE, least=LEAST).out

    assert max(map(len, table.splitlines())) <= 30


@pytest.mark.parametrize(("is_terminal", "lines"), [(True, 2), (False, 1)])
def test_line_ends_between_words_in_a_terminal(monkeypatch, capsys, is_terminal, lines):
    monkeypatch.setattr("raydog_cli.common.is_terminal", lambda: is_terminal)
    monkeypatch.setenv("COLUMNS", "80")
    text = "cluster demo in namespace my-team: up, created 2 h 10 min ago, lifetime left 5 h 49 min 30 s"

    print_words(text)

    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == lines
    assert " ".join(line.strip() for line in printed) == text
