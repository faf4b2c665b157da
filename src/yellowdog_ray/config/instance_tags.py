"""Tags of a cluster's machines, by which a cloud's bill groups them: the rules of the clouds, and RayDog's own tags.

Imports only `mistakes` of RayDog.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping

from yellowdog_ray.config.mistakes import shown

CLUSTER_TAG = "ray-cluster-name"
USER_TAG = "ray-user"
"""RayDog's own tags. The first is the one of Ray's own node providers (`TAG_RAY_CLUSTER_NAME`)."""

MAX_TAGS = 48
"""Tags of the YAML on one machine. AWS and Azure accept 50, and RayDog adds two."""

MAX_KEY, MAX_VALUE = 128, 256
"""Characters of a key and of a value: AWS's limits. Azure accepts more in a key, and as many in a value."""

KEY_PATTERN = r"(?![aA][wW][sS]:)[^\s\x00-\x1f\x7f<>%&\\?/](?:[^\x00-\x1f\x7f<>%&\\?/]*[^\s\x00-\x1f\x7f<>%&\\?/])?"
"""AWS reserves keys that begin with `aws:`; Azure refuses the listed characters in keys."""

VALUE_PATTERN = r"[^\x00-\x1f\x7f]*"

_GOOGLE_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_GOOGLE_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_NO_LABEL = re.compile(r"[^a-z0-9_-]+")
_MAX_LABEL = 63


def checked_tags(value: object) -> dict[str, str]:
    """The tags in the order of their keys: another order in the YAML is no other configuration.

    Raises:
        ValueError: a cloud would refuse them; the text has the remedy.
    """
    given: Mapping[object, object] = value if isinstance(value, Mapping) else {}
    mistakes = [_mistake(key, text) for key, text in given.items()]
    if given is not value:
        mistakes = [f"{shown(value)} is no mapping: give a mapping of text to text, such as `{{team: research}}`"]
    if found := list(filter(None, mistakes)):
        raise ValueError("; ".join(found))
    tags = {str(key): str(text) for key, text in given.items()}
    check_number(tags)
    return dict(sorted(tags.items()))


def check_number(tags: Mapping[str, str]) -> None:
    """Refuse more tags than one machine can have.

    Raises:
        ValueError: these are more.
    """
    if len(tags) > MAX_TAGS:
        raise ValueError(
            f"{len(tags)} tags, and a machine can have {MAX_TAGS} besides RayDog's own (AWS and Azure accept 50): "
            "remove some"
        )


def _mistake(key: object, text: object) -> str | None:
    if not isinstance(key, str) or not isinstance(text, str):
        wrong = key if not isinstance(key, str) else text
        return f"{shown(wrong)} in {shown({key: text})} is no text: write it in quotes"
    if not re.fullmatch(KEY_PATTERN, key) or len(key) > MAX_KEY:
        return (
            f"{shown(key)} is not a key that clouds accept. Use at most {MAX_KEY} characters without "
            "< > % & \\ ? / and without spaces at the ends, and do not begin with `aws:`"
        )
    if not re.fullmatch(VALUE_PATTERN, text) or len(text) > MAX_VALUE:
        return (
            f"{key} is {shown(text)}, which is not a value that clouds accept. Use at most {MAX_VALUE} characters in "
            "one line"
        )
    return None


def refused_by_google(tags: Mapping[str, str]) -> list[str]:
    """The keys whose key or value is no label of Google Cloud, whose rules are stricter than those of other clouds."""
    return [key for key, value in tags.items() if not (_GOOGLE_KEY.fullmatch(key) and _GOOGLE_VALUE.fullmatch(value))]


def own_tags(cluster_name: str, user: str) -> dict[str, str]:
    """RayDog's own tags, which every cloud accepts; without the user if it is unknown."""
    found = {CLUSTER_TAG: cluster_name, USER_TAG: user}
    labels = {key: _NO_LABEL.sub("-", value.lower())[:_MAX_LABEL] for key, value in found.items()}
    return {key: label for key, label in labels.items() if label}


def user_of_this_machine() -> str:
    """The name of the user who runs this process; empty where the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
