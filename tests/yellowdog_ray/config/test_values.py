"""The types of single values in the YAML."""

import pytest
from pydantic import TypeAdapter, ValidationError

from yellowdog_ray.config.values import (
    Boolean,
    Files,
    Hours,
    Name,
    OptionalImage,
    OptionalPool,
    OptionalTag,
    OptionalTemplate,
    Port,
    User,
)


def message_of(kind, value):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return str(caught.value)


@pytest.mark.parametrize("kind", [Hours, Port])
@pytest.mark.parametrize("value", [True, False])
def test_boolean_is_no_number(kind, value):
    assert "this is no number" in message_of(kind, value)


@pytest.mark.parametrize("value", [["a", 1], {"~/a": 1}, {1: "a"}, "a", None])
def test_other_forms_of_files_are_refused_in_one_message(value):
    assert "neither a list nor a mapping of paths" in message_of(Files, value)
    assert message_of(Files, value).startswith("1 validation error")


@pytest.mark.parametrize("value", ["pool", "/pool", "pool/", ""])
def test_reference_without_namespace_is_refused(value):
    assert "neither a worker pool's id (ydid:wrkrpool:...) nor its `namespace/name`" in message_of(OptionalPool, value)


@pytest.mark.parametrize("kind", [OptionalTemplate, OptionalPool, OptionalImage])
@pytest.mark.parametrize("value", ["ns/$NAME", "<ns>/<t>", "${NS}/t", "{{ns}}/t", "ydid:crt:..."])
def test_reference_with_a_placeholder_is_refused(kind, value):
    message = message_of(kind, value)

    assert f"{value!r} contains a variable or a placeholder, which RayDog does not replace: write " in message


@pytest.mark.parametrize("kind", [OptionalTemplate, OptionalPool, OptionalImage])
def test_reference_with_a_terminal_code_is_refused(kind):
    assert r"'ns/\x1b[31m' is neither " in message_of(kind, "ns/\x1b[31m")


@pytest.mark.parametrize(
    "value",
    ["ami-0123456789abcdef0", "Canonical:ubuntu:22_04-lts:latest", "/subscriptions/a/images/b (c)", "ns/family"],
)
def test_image_of_any_cloud_is_accepted(value):
    assert TypeAdapter(OptionalImage).validate_python(value) == value


@pytest.mark.parametrize("value", [None, "ydid:wrkrpool:1", "demo/pool"])
def test_missing_reference_id_and_name_are_accepted(value):
    assert TypeAdapter(OptionalPool).validate_python(value) == value


@pytest.mark.parametrize("value", ["-x", "a b", "$USER", "%h", "a;b", ""])
def test_user_that_a_shell_or_ssh_would_expand_is_refused(value):
    assert "is not the name of a user" in message_of(User, value)


@pytest.mark.parametrize(("kind", "value"), [(Name, "Demo"), (OptionalTag, "a b"), (Boolean, "often")])
def test_value_of_another_form_is_refused(kind, value):
    assert message_of(kind, value)
