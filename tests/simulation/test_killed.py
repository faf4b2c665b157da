"""SIGKILL of the head's autoscaler at a platform call: the next one lists every node and launches none twice."""

import pytest

from tests.simulation.phases import CHANGING, PHASES, TYPES, YAML
from tests.simulation.processes import every_kill
from tests.simulation.violation import Violation


@pytest.mark.search
@pytest.mark.timeout(600)  # each of some 60 kills of an exhaustive run has a life of the autoscaler after it
def test_restarted_autoscaler_completes_what_a_killed_one_has_begun(make_world):
    world = make_world(**YAML)
    world.tick()
    recorded = {phase: phase.run(world, TYPES[0]) for phase in PHASES}
    assert {f"{call.method} {call.route}" for calls in recorded.values() for call in calls} >= CHANGING
    kills = {phase: every_kill(calls) for phase, calls in recorded.items()}
    rounds = max(map(len, kills.values()))
    assert rounds < len(TYPES)

    for number, node_type in enumerate(TYPES[1 : rounds + 1]):
        for phase in PHASES:
            if number >= len(kills[phase]):
                phase.run(world, node_type)
                continue
            kill = kills[phase][number]
            try:
                with world.dying(kill):
                    phase.run(world, node_type)
                phase.finish(world, node_type)
            except (AssertionError, Violation) as failure:
                raise AssertionError(f"{phase.name}, not recovered from {kill}: {failure}") from failure
