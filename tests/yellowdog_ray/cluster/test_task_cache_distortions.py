"""Under any distortion of lists and counts, living tasks stay listed, and ended ones are dropped eventually."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.selection import EXHAUSTIVE
from tests.yellowdog_ray.cluster.scripted_platform import START, WORK, Reader, ScriptedPlatform, honest, task, task_id

CREW = ("a", "b", "c", "d", "e")
PHASES = ("READY", "ALLOCATED", "EXECUTING")


@pytest.mark.search
class TestAnyDistortion:
    """Lists that skip, repeat, reorder, lag and change between pages; counts that lag or are missing."""

    @settings(max_examples=100 if EXHAUSTIVE else 30, deadline=None)
    @given(st.data())
    def test_live_tasks_stay_and_ended_ones_are_dropped_eventually(self, data):
        platform = ScriptedPlatform()
        platform.put(*map(task, CREW))
        reader = Reader(platform)
        reader.tick()
        past = [list(platform.truth.values())]
        born = 0

        for _ in range(data.draw(st.integers(1, 12), label="ticks")):
            for name in data.draw(st.sets(st.sampled_from(sorted(platform.live_names()) or ["a"])), label="ends"):
                if task_id(name) in platform.truth:
                    platform.end(name)
            if data.draw(st.booleans(), label="one is added"):
                born += 1
                new = task(f"n{born}", "READY")
                platform.put(new)
                reader.cache.add([new])
            for one in list(platform.truth.values()):
                if not one.finished and one.phase.value != "executing" and data.draw(st.booleans(), label="moves"):
                    platform.put(task(one.name, PHASES[PHASES.index(one.status) + 1]))
            past.append(list(platform.truth.values()))
            self._distort(data, platform, past)

            reader.tick()

            assert platform.live_names() <= reader.names

        platform.live_list = platform.change_list = honest
        platform.counted, platform.counts_missing, platform.unreachable = None, False, set()
        platform.changes += 1
        for _ in range(20):
            reader.tick()
        assert reader.names == platform.live_names()
        assert {name: one.status for name, one in reader.cache.tasks().items()} == {
            one.name: one.status for one in platform.truth.values() if not one.finished
        }

    def _distort(self, data, platform, past):
        def distorted(kind):
            lag = data.draw(st.integers(0, len(past) - 1), label=f"{kind} lags")
            skips = data.draw(st.sets(st.sampled_from([one.id for one in past[-1]]), max_size=4), label="skips")
            seed = data.draw(st.randoms(use_true_random=False))

            def distort(tasks):
                finished = bool(tasks) and tasks[0].finished
                shown = [one for one in past[-1 - lag] if one.finished == finished] if lag else list(tasks)
                shown = [one for one in shown if one.id not in skips]
                shown += seed.sample(shown, min(2, len(shown)))
                seed.shuffle(shown)
                return shown

            return distort

        platform.live_list = distorted("live list")
        platform.change_list = distorted("list of changes")
        counts_lag = data.draw(st.integers(0, len(past) - 1), label="counts lag")
        platform.counted = past[-1 - counts_lag]
        platform.counts_missing = data.draw(st.booleans(), label="no counts")
        platform.unreachable = data.draw(st.sets(st.sampled_from([one.id for one in past[-1]]), max_size=2))


def test_scripted_platform_is_honest_by_default():
    platform = ScriptedPlatform()
    platform.put(task("a"), task("b", "FAILED"))

    assert [one.name for one in platform.live_tasks(WORK)] == ["a"]
    assert [one.name for one in platform.ended_tasks(START)] == ["b"]
