"""The mistakes that a model finds in a section, in RayDog's words."""

import pytest

from yellowdog_ray.config.model_mistakes import mistakes_of
from yellowdog_ray.config.models import Auth, ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig


@pytest.mark.parametrize(
    ("model", "section", "messages"),
    [
        (Auth, {"ssh_user": "me"}, []),
        (Auth, None, ["auth must be a mapping of keys to values, not empty"]),
        (
            Auth,
            {},
            ["auth.ssh_user is missing: name the user that runs the tasks, usually `yd-agent`"],
        ),
        (
            NodeConfig,
            {"images_id": 5, "imagesid": "x"},
            [
                "auth.images_id is 5: give text, in quotes if it looks like a number or a date",
                "auth.imagesid is not a key of RayDog: did you mean `images_id`?",
            ],
        ),
        (
            ProviderSettings,
            {"cluster_namespace": "demo", "head_node_tag_server_port": "x379"},
            [
                (
                    "auth.head_node_tag_server_port is 'x379', which is wrong (this is no number): give a port number, "
                    "for example 16667"
                )
            ],
        ),
        (
            ProviderSettings,
            {"cluster_namespace": "demo", "modul": "x"},
            ["auth.modul is not a key of RayDog: did you mean `module`?"],
        ),
        (
            ProviderSettings,
            {"cluster_namespace": "demo", "auth": {"ssh_user": "a\nb"}},
            [
                (
                    "auth.auth.ssh_user: 'a\\nb' is not the name of a user (letters, digits, '_', '.', '-' and '@'): "
                    "name the user that runs the tasks, usually `yd-agent`"
                )
            ],
        ),
    ],
)
def test_messages_have_place_value_and_remedy(model, section, messages):
    found = mistakes_of(model, section, "auth")

    assert [str(mistake) for mistake in found] == messages
