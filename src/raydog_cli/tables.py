"""Tables of the commands for clusters: within the terminal's width, or plain text in a pipe. Imports no Ray, no SDK."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from raydog_cli import common

if TYPE_CHECKING:
    from rich.console import Console
    from rich.measure import Measurement
    from rich.text import Text

LONGEST_WORD = 24
"""Characters of a word that a cell never breaks, in columns that may break at all."""

_FRAME = 3
"""Characters of the frame for each column, and one more."""


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    whole: Sequence[str] = (),
    least: Sequence[str] = (),
) -> None:
    """A table in a terminal; elsewhere the columns as plain text, one row a line.

    Args:
        title: its title.
        columns: the names of its columns.
        rows: the cells.
        whole: columns whose cells are never broken, such as ids and states, as far as the terminal has room.
        least: columns that a narrow terminal leaves out, the first of them first.
    """
    if not common.is_terminal():
        _show_plain(columns, rows)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    cells = [[Text(common.printable(cell) or "-") for cell in row] for row in rows]
    sizes = {
        column: _size(console, column, [row[index] for row in cells], is_whole=column in whole)
        for index, column in enumerate(columns)
    }
    shown = list(columns)
    for column in least:
        if _room(console, shown) < sum(sizes[each].minimum for each in shown):
            shown.remove(column)
    table = Table(title=title, title_justify="left")
    for column, width in _widths({column: sizes[column] for column in shown}, _room(console, shown)).items():
        table.add_column(column, overflow="fold", width=width)
    for row in cells:
        table.add_row(*(cell for column, cell in zip(columns, row, strict=True) if column in shown))
    console.print(table)
    if left_out := [column for column in columns if column not in shown]:
        common.print_safe(f"left out in this width: {', '.join(left_out)}", err=True)


def _size(console: Console, column: str, cells: Iterable[Text], *, is_whole: bool) -> Measurement:
    """The least width of a column, in which no word is broken, and the width of its longest cell."""
    from rich.measure import Measurement

    sizes = [console.measure(cell) for cell in cells]
    most = max([len(column), *(size.maximum for size in sizes)])
    words = [min(size.minimum, LONGEST_WORD) for size in sizes]
    return Measurement(most if is_whole else max([*map(len, column.split()), *words]), most)


def _room(console: Console, columns: Collection[str]) -> int:
    """The characters for the cells of a row."""
    return console.width - _FRAME * len(columns) - 1


def _widths(sizes: Mapping[str, Measurement], room: int) -> dict[str, int | None]:
    """The width of each column: its least one, and an equal part of the rest. None if the terminal is too narrow."""
    spare = room - sum(size.minimum for size in sizes.values())
    if spare < 0:
        return dict.fromkeys(sizes)
    widths: dict[str, int | None] = {}
    by_need = sorted(sizes, key=lambda column: sizes[column].maximum - sizes[column].minimum)
    for left, column in zip(range(len(sizes), 0, -1), by_need, strict=True):
        size = sizes[column]
        more = min(size.maximum - size.minimum, spare // left)
        spare -= more
        widths[column] = size.minimum + more
    return {column: widths[column] for column in sizes}


def _show_plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [
        [column.upper() for column in columns],
        *([" ".join(common.printable(cell).split()) or "-" for cell in row] for row in rows),
    ]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        common.print_safe("  ".join(padded).rstrip())


def print_words(text: str) -> None:
    """Print untrusted text; a terminal's lines end between words."""
    if not common.is_terminal():
        common.print_safe(text)
        return
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text(common.printable(text)))
