from yellowdog_ray.monitor.scale_gate import MAX_SKIPPED_TICKS, ScaleGate


def test_gate_is_open_when_data_is_current():
    assert ScaleGate(lambda: False).is_open()


def test_gate_closes_while_data_is_stale():
    stale = [True, True, False]
    gate = ScaleGate(lambda: stale.pop(0))

    assert [gate.is_open() for _ in range(3)] == [False, False, True]


def test_gate_opens_after_maximum_of_skipped_ticks():
    gate = ScaleGate(lambda: True)

    opened = [gate.is_open() for _ in range(2 * (MAX_SKIPPED_TICKS + 1))]

    assert opened == 2 * [*[False] * MAX_SKIPPED_TICKS, True]
