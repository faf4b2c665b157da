"""Which versions of Ray have tokens, and which leave their dashboard agents open."""

from fnmatch import fnmatch

from yellowdog_ray.node.ray_versions import OPEN_AGENTS_PATTERN, agents_require_tokens, has_tokens


def test_pattern_matches_the_versions_with_tokens_and_open_agents():
    versions = [f"2.{minor}.{patch}" for minor in range(45, 70) for patch in (0, 1)]

    matched = [version for version in versions if fnmatch(version, OPEN_AGENTS_PATTERN)]

    assert matched == [version for version in versions if has_tokens(version) and not agents_require_tokens(version)]
