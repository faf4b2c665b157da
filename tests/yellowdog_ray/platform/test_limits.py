"""Limits that the platform states in its refusals, in various words."""

import pytest

from yellowdog_ray.errors import Refused
from yellowdog_ray.platform.limits import NODES, TASKS, stated_limit


def refused(text):
    error = Refused("YellowDog declined (worker pool 'ray-cpu-77-0badcafe')")
    error.__cause__ = Exception(text)
    return error


@pytest.mark.parametrize(
    "text",
    [
        "InvalidRequestException: maxNodes must not be more than 1000",
        "maxNodes: must be less than or equal to 1,000",
        "10000 nodes requested, and at most 1000 nodes are allowed",
        "targetInstanceCount must be between 0 and 1000",
        "400 Client Error: Bad Request for url: http://127.0.0.1:8080/x Response Body: max_nodes exceeds 1000",
    ],
)
def test_limit_of_nodes_is_found(text):
    assert stated_limit(refused(text), NODES, below=10_000) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "InvalidRequestException: template has no sources; code 17",
        "maxNodes must not be more than the policy allows",
        "maxNodes must not be more than 10000",
        "maxNodes must not be negative: pool ray-77-12 of http://127.0.0.1:8080/3",
    ],
)
def test_refusal_without_a_lower_limit_states_none(text):
    assert stated_limit(refused(text), NODES, below=10_000) is None


def test_limit_of_tasks_is_found_in_its_own_words_only():
    assert stated_limit(refused("No more than 100 tasks can be added at once"), TASKS, below=1000) == 100
    assert stated_limit(refused("taskData must not be more than 500 bytes, and is 700"), TASKS, below=1000) is None


def test_next_number_is_found_when_the_first_was_another():
    error = refused("status 400: maxNodes exceeds 250")

    assert stated_limit(error, NODES, below=1000) == 400
    assert stated_limit(error, NODES, below=400) == 250
