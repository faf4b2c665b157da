import pytest

from tests.yellowdog_ray.hand_moved_time import Time
from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.errors import (
    EndedAfterJoin,
    EndedBeforeJoin,
    LaunchBackedOff,
    MalformedResponse,
    NeverJoined,
    NotAuthorised,
    NotFound,
    Throttled,
    Unavailable,
)


def backoff_after_each_failure(time: Time, reason: Exception, failures: int) -> list[int]:
    """The back-off in whole seconds after the first, second ... failure in a row."""
    backoff, seconds = BackOff(time), []
    for _ in range(failures):
        backoff.failed("gpu", reason)
        began = time.now
        while is_backing_off(backoff, "gpu"):
            time.now += 1
        seconds.append(int(time.now - began))
    return seconds


def is_backing_off(backoff: BackOff, node_type: str) -> bool:
    try:
        backoff.check(node_type)
    except LaunchBackedOff:
        assert backoff.waits(node_type)
        return True
    assert not backoff.waits(node_type)
    return False


def test_backoff_doubles_up_to_five_minutes(time):
    assert backoff_after_each_failure(time, NotFound("x"), 9) == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_backoff_is_shorter_when_throttled(time):
    assert backoff_after_each_failure(time, Throttled("x"), 5) == [5, 10, 20, 30, 30]


def test_backoff_starts_anew_after_accepted_launch(time):
    backoff = BackOff(time)
    for _ in range(5):
        backoff.failed("gpu", NotFound("x"))

    backoff.accepted("gpu")

    assert not is_backing_off(backoff, "gpu")
    backoff.failed("gpu", NotFound("x"))
    time.now += 5
    assert not is_backing_off(backoff, "gpu")


def test_backoff_ends_once_a_node_has_joined(time):
    backoff = BackOff(time)
    for _ in range(5):
        backoff.failed("gpu", NeverJoined("x"))
    backoff.accepted("gpu")
    assert is_backing_off(backoff, "gpu")

    backoff.joined("gpu")
    backoff.joined("cpu")

    assert not is_backing_off(backoff, "gpu")
    backoff.failed("gpu", NotFound("x"))
    time.now += 5
    assert not is_backing_off(backoff, "gpu")


@pytest.mark.parametrize(
    ("failures", "text"), [(1, "in 5 s, after 1 failed launch: x"), (2, "10 s, after 2 failed launches: x")]
)
def test_backoff_text_has_seconds_failures_and_reason(time, failures, text):
    backoff = BackOff(time)
    for _ in range(failures):
        backoff.failed("gpu", NotFound("x"))

    with pytest.raises(LaunchBackedOff, match=text):
        backoff.check("gpu")


def test_backoff_holds_no_other_node_type(time):
    backoff = BackOff(time)

    backoff.failed("gpu", NotFound("x"))

    assert not is_backing_off(backoff, "cpu")


def test_launch_paused_has_category_and_reason_of_failure(time):
    backoff = BackOff(time)
    backoff.failed("gpu", NotFound("no template 'demo/gone'"))
    time.now += 1.5

    with pytest.raises(LaunchBackedOff, match=r"'gpu' is retried in 4 s, after 1 failed launch: no template") as caught:
        backoff.check("gpu")

    assert caught.value.code == "NotFound"


class TestFailedNodes:
    def test_nodes_of_one_launch_that_fail_one_by_one_are_one_failure(self, time):
        backoff = BackOff(time)
        for _ in range(20):
            backoff.failed("gpu", EndedBeforeJoin("x"))

        time.now += 5

        assert not is_backing_off(backoff, "gpu")

    def test_backoff_doubles_with_each_launch_whose_nodes_fail(self, time):
        backoff = BackOff(time)
        for _ in range(3):
            backoff.failed("gpu", EndedBeforeJoin("x"))
            backoff.accepted("gpu")
        backoff.failed("gpu", EndedBeforeJoin("x"))

        time.now += 39

        assert is_backing_off(backoff, "gpu")

    def test_joined_node_ends_backoff_unless_joined_nodes_are_what_fails(self, time):
        backoff = BackOff(time)
        backoff.failed("cpu", EndedBeforeJoin("x"))
        backoff.failed("gpu", EndedAfterJoin("x"))

        for node_type in ("cpu", "gpu"):
            backoff.joined(node_type)

        assert not is_backing_off(backoff, "cpu")
        assert is_backing_off(backoff, "gpu")

    @pytest.mark.parametrize(
        "kinds", [(EndedAfterJoin, EndedBeforeJoin), (EndedBeforeJoin, EndedAfterJoin)], ids=["earlier", "later"]
    )
    def test_backoff_begins_anew_when_nodes_fail_in_the_other_way(self, time, kinds):
        """They may be of another launch, so it is no shorter; it is no longer either, as they may be of the same."""
        backoff = BackOff(time)
        backoff.failed("gpu", kinds[0]("x"))
        time.now += 5

        backoff.failed("gpu", kinds[1]("y"))

        with pytest.raises(LaunchBackedOff, match="retried in 5 s, after 1 failed launch: y"):
            backoff.check("gpu")

    def test_lasting_node_keeps_the_count_of_nodes_that_never_joined(self, time):
        backoff = BackOff(time)
        backoff.failed("gpu", EndedBeforeJoin("x"))
        backoff.failed("gpu", EndedAfterJoin("y"))
        backoff.accepted("gpu")

        backoff.lasted("gpu")
        backoff.failed("gpu", EndedBeforeJoin("z"))

        with pytest.raises(LaunchBackedOff, match="retried in 10 s, after 2 failed launches: z"):
            backoff.check("gpu")

    def test_lasting_node_ends_backoff(self, time):
        backoff = BackOff(time)
        backoff.failed("gpu", EndedAfterJoin("x"))

        backoff.lasted("gpu")

        assert not is_backing_off(backoff, "gpu")

    def test_lasting_node_does_not_excuse_nodes_that_failed_before_they_joined(self, time):
        """It may be older than they are, and from another script."""
        backoff = BackOff(time)
        backoff.failed("gpu", EndedBeforeJoin("x"))

        backoff.lasted("gpu")

        assert is_backing_off(backoff, "gpu")

    @pytest.mark.parametrize("end", [BackOff.accepted, lambda backoff, _: backoff.outage_ended()])
    @pytest.mark.parametrize("failure", [Unavailable("x"), NotAuthorised("x")])
    def test_failed_request_does_not_excuse_nodes_that_failed_before(self, time, failure, end):
        backoff = BackOff(time)
        for _ in range(3):
            backoff.failed("gpu", EndedBeforeJoin("x"))
            backoff.accepted("gpu")
        backoff.failed("gpu", failure)

        end(backoff, "gpu")
        backoff.accepted("gpu")
        backoff.failed("gpu", EndedBeforeJoin("y"))

        with pytest.raises(LaunchBackedOff, match="retried in 40 s, after 4 failed launches: y"):
            backoff.check("gpu")

    def test_nodes_of_one_launch_that_fail_around_a_failed_request_are_one_failure(self, time):
        backoff = BackOff(time)
        backoff.failed("gpu", EndedBeforeJoin("x"))
        backoff.failed("gpu", Unavailable("x"))
        backoff.failed("gpu", EndedBeforeJoin("y"))

        with pytest.raises(LaunchBackedOff, match="after 2 failed launches"):
            backoff.check("gpu")

    @pytest.mark.parametrize(("kind", "end"), [(EndedBeforeJoin, BackOff.joined), (EndedAfterJoin, BackOff.lasted)])
    def test_node_that_lasts_excuses_failed_nodes_behind_a_failed_request(self, time, kind, end):
        backoff = BackOff(time)
        backoff.failed("gpu", kind("x"))
        backoff.failed("gpu", Unavailable("x"))

        end(backoff, "gpu")
        backoff.accepted("gpu")
        backoff.failed("gpu", kind("y"))

        with pytest.raises(LaunchBackedOff, match="after 1 failed launch: y"):
            backoff.check("gpu")


@pytest.mark.parametrize(
    ("reason", "ends"),
    [(Unavailable("x"), True), (MalformedResponse("x"), True), (NotAuthorised("x"), True), (NotFound("x"), False)],
)
def test_end_of_an_outage_ends_the_backoff_that_it_caused(time, reason, ends):
    backoff = BackOff(time)
    backoff.failed("gpu", reason)

    backoff.outage_ended()

    assert is_backing_off(backoff, "gpu") is not ends


def test_changed_configuration_ends_every_backoff(time):
    backoff = BackOff(time)
    backoff.failed("gpu", NotFound("x"))

    backoff.reconfigured()

    assert not is_backing_off(backoff, "gpu")
