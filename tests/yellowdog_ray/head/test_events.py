"""Restarts of the head's processes as events and lines."""

import pytest

from yellowdog_ray.head.events import Events, Restart, ordinal


def test_file_of_events_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.head.events.MAX_BYTES", 250)
    file = tmp_path / "restarts"
    supervisor, keeper = Events(file), Events(file)
    for number in range(10):
        keeper.append(Restart(float(number), "dashboard agent", 0.0, "killed", 1))
        assert [event.time for event in supervisor.new()] == [number]

    assert file.stat().st_size < 400


def test_line_of_a_restart_has_the_remedy_when_memory_was_short():
    restart = Restart(0.0, "control store", 1.2, "killed: out of memory", 3)

    assert restart.line == (
        "control store restarted after 1.2 s (killed: out of memory); 3rd time in 10 min; "
        "the head is too small: use a larger machine type"
    )


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")]
)
def test_ordinal(number, text):
    assert ordinal(number) == text
