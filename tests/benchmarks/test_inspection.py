import pytest
from benchmarks.cases.inspection import INSPECTIONS, counted, listed, named

LIST = "│ bench │ demo │ up │ head: 1 running; cpu: 250 running; gpu: 249 running, 1 pending │ local │"
STATUS = """\
│ head-6f83df2d    │ head │ running │
│ cpu-008ad27a04f1 │ cpu  │ running │
│ cpu-01bedea1cb1e │ cpu  │ running │
│ gpu-01bedea1cb1e │ gpu  │ running │
│ bench-cpu-273e9786 │ cpu │ running │ 2 running │
"""
WHY = "cluster bench in namespace demo: up, 1000 worker(s); waiting in Ray 0 s ago: 3 x {CPU: 1}"


@pytest.mark.parametrize(
    ("workers", "output", "number"), [(counted, LIST, 499), (listed, STATUS, 3), (named, WHY, 1000)]
)
def test_workers_are_read_from_output_without_head_and_pools(workers, output, number):
    assert workers(output) == number


@pytest.mark.parametrize("workers", [counted, listed, named])
def test_no_workers_are_read_from_an_error(workers):
    assert workers("error: YellowDog shows no living cluster 'bench' to this key") == 0


def test_goal_of_calls_is_the_documented_number():
    assert {inspection.name: inspection.most_calls for inspection in INSPECTIONS} == {
        "`raydog list`": 5,
        "`raydog status bench --namespace demo`": 11,
        "`raydog status bench`": 13,
        "`raydog why bench --namespace demo`": 11,
        "`raydog why bench`": 13,
    }
