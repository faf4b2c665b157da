"""The names of everything that RayDog creates, and YellowDog's naming rules. No I/O; must not import other modules.

One *incarnation* of a cluster (from `ray up` to `ray down`) has a random token. The names of pools and of
the head end with it. Leftovers of an earlier incarnation are thus never mistaken for this one's, and clusters with a
common prefix have no name in common.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from datetime import datetime, timezone

MAX_NAME_LENGTH = 60
"""Characters in a YellowDog name (the official CLI's "Naming Rules")."""

MAX_TAG_LENGTH = 200
"""Characters in a YellowDog tag (`MAX_TAG_LENGTH` of the SDK's `model/tagged.py`)."""

NAME_PATTERN = r"[a-z]([a-z0-9_-]*[a-z0-9])?"
TAG_PATTERN = r"[a-z0-9][a-z0-9_.:-]*"
"""Regular expressions of a whole name and a whole tag, without their lengths."""

NAMING_RULE = (
    f"at most {MAX_NAME_LENGTH} lower-case letters, digits, '-' and '_', starting with a letter and ending with a "
    "letter or digit"
)

HEAD_GROUP = "head"
"""The task group that holds the head's task. It is the first of its work requirement."""

STATE_GROUP = "info"
"""The only task group of a work requirement that holds a head's published state. It never has a task."""

STATE_PART = f"{HEAD_GROUP}-{STATE_GROUP}-"
"""The part that the names of all such work requirements contain."""

MAX_GENERATIONS = 1_000
"""Task groups of one node type that `is_group_of` considers: all that a work requirement may have."""

_NAME = re.compile(NAME_PATTERN)
_TAG = re.compile(TAG_PATTERN)
_TOKEN_BYTES = 4
_TOKEN = re.compile(r"[0-9a-f]{8}")
_GENERATION = re.compile(r"[2-9]|[1-9][0-9]{1,4}")
_RESTART = re.compile(r"[1-9][0-9]{0,2}")
_STEM_LENGTH = MAX_NAME_LENGTH - len("-99999")
_CUT_LENGTH = _STEM_LENGTH - len("-abcdef")
_NODE_BYTES = 6
_STATE_NAME = re.compile(
    rf"{STATE_PART}(?P<token>[0-9a-f]{{8}})-[0-9a-f]{{{2 * _NODE_BYTES}}}(-ends-(?P<end>[0-9]{{8}}t[0-9]{{6}}z))?"
)
_END_FORMAT = "%Y%m%dt%H%M%Sz"
_SHORTEST_CUT = 8  # characters of a cluster's name that every pool name keeps


def is_valid_name(name: str) -> bool:
    """Whether YellowDog accepts this as the name of a namespace, work requirement, task group, task or pool."""
    return len(name) <= MAX_NAME_LENGTH and _NAME.fullmatch(name) is not None


def is_valid_tag(tag: str) -> bool:
    """Whether YellowDog accepts this as a tag."""
    return len(tag) <= MAX_TAG_LENGTH and _TAG.fullmatch(tag) is not None


def new_token() -> str:
    """A token for a new incarnation: 8 hexadecimal digits."""
    return secrets.token_hex(_TOKEN_BYTES)


def token_of(worker_tag: str) -> str:
    """The incarnation's token, from a pool's name or worker tag."""
    return worker_tag.rsplit("-", 1)[-1]


def slug(text: str, length: int = 24) -> str:
    """A YellowDog name of at most `length` characters for any text; different texts give different slugs.

    A text that is already such a name stays as it is. Others get a digest of the original at their end.
    """
    if len(text) <= length and _NAME.fullmatch(text) and text != HEAD_GROUP:
        return text
    digest = _digest(text)
    plain = _plain(text.lower()).strip("-")
    if not plain or not plain[0].isalpha():
        plain = f"n-{plain}"
    return f"{plain[: length - 7].rstrip('-')}-{digest}"


def _digest(text: str, length: int = 6) -> str:
    """Hexadecimal digits of any text: a stranger's may have surrogates, which UTF-8 has not."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:length]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text)


def work_name(cluster: str, generation: int = 1) -> str:
    """The work requirement of a cluster: its own name, or a numbered one where an earlier requirement blocks that name.

    Numbered names of one cluster may be names of other clusters; the head's worker tag shows whose requirement it is.
    """
    return cluster if generation == 1 else f"{_stem(cluster)}-{generation}"


def generation_of(cluster: str, name: str) -> int | None:
    """The generation of a cluster whose work requirement has this name; None if none has it."""
    if name == cluster:
        return 1
    stem, _, number = name.rpartition("-")
    return int(number) if stem == _stem(cluster) and _GENERATION.fullmatch(number) else None


def common_part(cluster: str) -> str:
    """The part that the names of all generations of a cluster contain."""
    return cluster if len(cluster) <= _STEM_LENGTH else cluster[:_CUT_LENGTH]


def _stem(cluster: str) -> str:
    if len(cluster) <= _STEM_LENGTH:
        return cluster
    return f"{cluster[:_CUT_LENGTH]}-{_digest(cluster)}"


def group_name(node_type: str, config: str, generation: int = 1) -> str:
    """The task group of a worker node type.

    Args:
        node_type: the key of `available_node_types`.
        config: the digest of the type's `node_config`: another `node_config` has its own task group and pool.
        generation: 2 and above follow a group whose pool has ended or is full.
    """
    name = slug(node_type) if generation == 1 else slug(f"{node_type} (generation {generation})")
    return f"{name}-{config}"


@functools.lru_cache(maxsize=1_000)
def is_group_of(group: str, node_type: str) -> bool:
    """Whether a task group of this name, of any `node_config` and generation, may be one of the worker node type."""
    stem = group.rpartition("-")[0]
    numbers = range(2, MAX_GENERATIONS)
    return stem == slug(node_type) or any(stem == slug(f"{node_type} (generation {number})") for number in numbers)


def pool_name(cluster: str, group: str, token: str) -> str:
    """The worker pool of one task group; also the pool's worker tag."""
    return f"{slug(cluster, MAX_NAME_LENGTH - len(group) - len(token) - 2)}-{group}-{token}"


def state_tag(head_pool: str) -> str:
    """The tag of the work requirements in which the head of one incarnation publishes its state. No pool has it.

    Args:
        head_pool: the name of its head pool, which contains the cluster's exact name.
    """
    token = token_of(head_pool)
    return f"{head_pool.removesuffix(f'-{HEAD_GROUP}-{token}')}-{STATE_GROUP}-{token}"


def new_state_name(token: str, end: datetime | None = None) -> str:
    """The name of a new work requirement with a head's state.

    It contains no cluster's name, so that searches for clusters do not find it, and it can be no cluster's generation.

    Args:
        token: the incarnation's token.
        end: the end of the idle cluster if one is announced: searches show the name, and no document.
    """
    name = f"{STATE_PART}{token}-{secrets.token_hex(_NODE_BYTES)}"
    return name if end is None else f"{name}-ends-{end.astimezone(timezone.utc).strftime(_END_FORMAT)}"


def announced_end(name: str) -> datetime | None:
    """The end of the idle cluster in the name of a work requirement that holds a head's state; None without one."""
    found = _STATE_NAME.fullmatch(name)
    if found is None or found["end"] is None:
        return None
    try:
        return datetime.strptime(found["end"], _END_FORMAT).replace(tzinfo=timezone.utc)
    except ValueError:
        return None  # no time, so no name that RayDog has given


def publisher_of(name: str, tag: str) -> str | None:
    """The cluster in the tag of a work requirement that holds a head's state; None if it has not exactly that form."""
    token = token_of(tag)
    cluster = tag.removesuffix(f"-{STATE_GROUP}-{token}")
    is_state = _TOKEN.fullmatch(token) is not None and cluster not in ("", tag)
    found = _STATE_NAME.fullmatch(name)
    is_named = found is not None and found["token"] == token
    return cluster if is_state and is_named else None


def is_head_pool(cluster: str, name: str) -> bool:
    """Whether a pool of this name is the head pool of some incarnation of the cluster."""
    token = token_of(name)
    return _TOKEN.fullmatch(token) is not None and name == pool_name(cluster, HEAD_GROUP, token)


def is_later_generation(name: str, worker_tag: str) -> bool:
    """Whether a work requirement of this name, whose head has this worker tag, is a later generation of a cluster."""
    stem, _, number = name.rpartition("-")
    if not _GENERATION.fullmatch(number):
        return False
    if is_head_pool(stem, worker_tag):
        return True
    # Of a cluster's long name both contain the digest only.
    pool = f"{stem[_CUT_LENGTH:]}-{HEAD_GROUP}-{token_of(worker_tag)}"
    return len(stem) == _STEM_LENGTH and worker_tag.endswith(pool)


def cluster_of(name: str, worker_tag: str) -> str | None:
    """The cluster of a work requirement of this name, whose head has this worker tag. None if it is no cluster's.

    Of a later generation of a very long name, the result is the shortened name that its work requirement has.
    """
    if is_head_pool(name, worker_tag):
        return name
    return name.rpartition("-")[0] if is_later_generation(name, worker_tag) else None


def has_pool_form(name: str) -> bool:
    """Whether a name has the form of RayDog's pool names. A stranger's may have it too: it proves nothing."""
    return _TOKEN.fullmatch(token_of(name)) is not None and name.count("-") >= 2


def clusters_of_pool(pool: str) -> list[str]:
    """The names that a cluster with a pool of this name can have, the longest first: one if it is a head's pool.

    None at all if the pool's name may have shortened the cluster's, or has no such form.
    """
    stem = pool.removesuffix(f"-{token_of(pool)}")
    if not has_pool_form(pool) or len(pool) >= MAX_NAME_LENGTH - 1:
        return []
    if stem.endswith(f"-{HEAD_GROUP}"):
        cluster = stem.removesuffix(f"-{HEAD_GROUP}")
        return [HEAD_GROUP if cluster == slug(HEAD_GROUP) else cluster]
    parts = stem.split("-")[:-1]  # without the digest of the type's `node_config`
    return [name for end in range(len(parts) - 1, 0, -1) if is_valid_name(name := "-".join(parts[:end]))]


def may_share_cluster(work: str, pool: str) -> bool:
    """Whether a work requirement and a pool of these names may be one cluster's: False only if they cannot be."""
    stem = work.rpartition("-")[0] or work
    return any(_plain(pool).startswith(_plain(name)[:_SHORTEST_CUT].rstrip("-")) for name in (work, stem))


def head_id(token: str) -> str:
    """The head's node id: the same in every process that completes this incarnation."""
    return f"{HEAD_GROUP}-{token}"


def token_of_head(node_id: str) -> str:
    """The incarnation's token, from the node id of any of its heads."""
    return node_id.removeprefix(f"{HEAD_GROUP}-").partition("-")[0]


def restarted_head_id(token: str, number: int) -> str:
    """The node id of the head that replaces a lost one: the first replacement of an incarnation has the number 1."""
    return f"{head_id(token)}-r{number}"


def restart_number(token: str, node_id: str) -> int | None:
    """The number of a head's replacement, and 0 for the first head; None for another node."""
    if node_id == head_id(token):
        return 0
    number = node_id.removeprefix(f"{head_id(token)}-r")
    return int(number) if number != node_id and _RESTART.fullmatch(number) else None


def worker_id(node_type: str) -> str:
    """A new worker's node id, never used before."""
    return f"{slug(node_type)}-{secrets.token_hex(_NODE_BYTES)}"


def replacement_id(node_type: str, node_id: str) -> str:
    """The node id of a worker's replacement: always the same for one worker."""
    return f"{slug(node_type)}-{_digest(node_id, 2 * _NODE_BYTES)}"
