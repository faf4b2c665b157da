"""Settings from profile files and from words."""

import json

import pytest

from yellowdog_local.state.profiles import ProfileError, assume, changed, load_profile
from yellowdog_local.state.settings import AbortEndState, Settings

CHANGES = {"reuse_finished_names": False, "max_nodes_limit": 1000, "retention_seconds": 60, "abort_end_state": "FAILED"}
SETTINGS = Settings(
    reuse_finished_names=False, max_nodes_limit=1000, retention_seconds=60, abort_end_state=AbortEndState.FAILED
)


@pytest.fixture
def profile(tmp_path):
    """A profile file of the given text."""

    def write(text):
        path = tmp_path / "profile.json"
        path.write_text(text)
        return path

    return write


def test_profile_changes_the_settings_it_names(profile):
    assert load_profile(profile(json.dumps(CHANGES))) == SETTINGS


def test_words_change_the_settings_they_name():
    words = ["reuse_finished_names=false", "max_nodes_limit=1000", "retention_seconds=60", "abort_end_state=FAILED"]

    assert assume(words) == SETTINGS
    assert assume([]) == Settings()


def test_words_override_a_profile(profile):
    base = load_profile(profile(json.dumps(CHANGES)))

    assert assume(["max_nodes_limit=3"], base) == SETTINGS.model_copy(update={"max_nodes_limit": 3})


def test_changed_settings_are_written_as_words():
    assert assume(changed(SETTINGS)) == SETTINGS
    assert changed(Settings()) == []


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("reuse_names=false", "unknown setting 'reuse_names': did you mean 'reuse_finished_names'?"),
        ("x=1", "unknown setting 'x': did you mean "),
        ("max_nodes_limit=many", 'max_nodes_limit: .*integer.*, and is "many"'),
        ("max_nodes_limit=0", "max_nodes_limit: .*greater than or equal to 1.*, and is 0"),
        ("reuse_finished_names=1", "reuse_finished_names: .*boolean"),
        ("abort_end_state=GONE", "abort_end_state: .*'ABORTED' or 'FAILED'"),
        ("retention_seconds", "write NAME=VALUE"),
        ("RETENTION_SECONDS=1", "did you mean 'retention_seconds'"),
        ("retention_seconds=Infinity", "retention_seconds: must be at most 315360000"),
        ("retention_seconds=1e999", "retention_seconds: must be at most 315360000"),
        ("retention_seconds=NaN", "retention_seconds: "),
        ("retention_seconds=315360001", "retention_seconds: must be at most 315360000"),
        ("retention_seconds=" + "[" * 100_000, "nested too deeply"),
        ('task_environment={"A": "1", "A": "2"}', "'A' is given twice"),
        ('task_environment={"A=B": "1"}', r"^task_environment\.A=B.*pattern"),
        ('task_environment={"": "1"}', r"^task_environment\..*pattern"),
        (r'task_environment={"A": "\u0000"}', r"^task_environment\.A: .*pattern"),
        (r'account_name="\ud800"', "^account_name: contains a lone surrogate"),
        ("account_name=" + "[" * 300 + "]" * 300, "^account_name: the JSON is nested too deeply$"),
        ('default_namespace=""', "^default_namespace: .*pattern"),
        ("default_namespace=A b", "^default_namespace: .*pattern"),
        (r'event_name="a\nb"', "^event_name: .*pattern"),
        ("max_instances=" + "9" * 400, "^max_instances: .*less than or equal to 2147483647"),
        ("default_workers_per_node=1000000000", "^default_workers_per_node: .*less than or equal to 10000"),
    ],
)
def test_invalid_word_is_refused_with_the_reason(word, reason):
    with pytest.raises(ProfileError, match=reason):
        assume([word])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"retention_second": 60}', "profile.json: unknown setting .*'retention_seconds'"),
        ('{"retention_seconds": "60"}', "profile.json: retention_seconds: .*number"),
        ("[]", "must be a JSON object"),
        ("[" * 100_000, "profile.json: .*nested too deeply"),
        ('{"retention_seconds": 1, "retention_seconds": 2}', "profile.json: 'retention_seconds' is given twice"),
        ("{", "not a readable JSON file"),
    ],
)
def test_invalid_profile_is_refused_with_file_and_reason(profile, text, reason):
    with pytest.raises(ProfileError, match=reason):
        load_profile(profile(text))


@pytest.mark.parametrize(
    "text", ['{"reuse_finished_names": "%s"}' % ("x" * 10_000), '{"%s": 1}' % ("x" * 10_000), '{"\\u001b[31m": 1}']
)
def test_error_quotes_a_value_shortened_and_printable(profile, text):
    with pytest.raises(ProfileError) as refusal:
        load_profile(profile(text))

    message = str(refusal.value).replace(str(profile(text)), "")
    assert len(message) < 250
    assert message.isprintable()


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_unreadable_profile_is_refused_with_its_path_once(tmp_path, name):
    path = tmp_path / name

    with pytest.raises(ProfileError, match="not a readable JSON file") as refusal:
        load_profile(path)

    assert str(refusal.value).count(str(path)) == 1


def test_profile_may_begin_with_a_byte_order_mark(profile):
    assert load_profile(profile("\ufeff" + json.dumps(CHANGES))) == SETTINGS


def test_unknown_setting_in_python_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="'reuse_finished_name': did you mean 'reuse_finished_names'"):
        Settings(reuse_finished_name=False)
