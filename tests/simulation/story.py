"""The events of a simulation in their order, for people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime


class Story:
    """Lines with the time since the beginning.

    Args:
        now: returns the time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.lines: list[str] = []
        self._now = now
        self._began = now()
        self._states: dict[str, str] = {}

    def add(self, who: str, what: str) -> None:
        """Add a line."""
        seconds = (self._now() - self._began).total_seconds()
        self.lines.append(f"[{seconds:7.1f} s] {who:10} {what}")

    def note_states(self, states: dict[str, str]) -> None:
        """Add a line for each thing on the platform whose state has changed; the argument has those of all things."""
        for name in sorted({*states, *self._states}):
            state = states.get(name, "gone")
            if self._states.get(name) != state:
                self.add("platform", f"{name} is {state}")
        self._states = states

    def __str__(self) -> str:
        return "\n".join(self.lines)


class StoryHandler(logging.Handler):
    """Adds the log's lines.

    Args:
        story: receives the lines.
        who: returns the name of the running process.
    """

    def __init__(self, story: Story, who: Callable[[], str]) -> None:
        super().__init__()
        self._story = story
        self._who = who

    def emit(self, record: logging.LogRecord) -> None:
        """Add the first line of a log record, with the error of its traceback."""
        text = record.getMessage().splitlines()[0] if record.getMessage() else ""
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text = f"{text} [{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}]"
        self._story.add(self._who(), f"log {record.levelname}: {text}")
