"""Whether a cluster has tokens: by the version of Ray, where the YAML does not say so."""

import pytest

from tests.yellowdog_ray.config.test_bootstrap import error_of
from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.ray_auth import resolve
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.node.ray_versions import has_tokens


@pytest.mark.parametrize("version", ["2.52.0", "2.52.0rc1", "2.53.0", "2.60.0", "2.100.1", "3.0.0.dev0"])
def test_cluster_has_a_token_from_the_first_ray_with_tokens_on(version):
    assert has_tokens(version)
    assert resolve({}, version, "cluster.yaml") == ("token", [])


@pytest.mark.parametrize("version", ["2.51.1", "2.9.3", "1.99.0"])
def test_older_ray_has_none_and_the_user_is_warned(version):
    assert not has_tokens(version)
    value, (warning,) = resolve({}, version, "cluster.yaml")

    assert value == "none"
    assert f"cluster.yaml: Ray {version} on this machine has no token authentication. Everybody who reaches" in warning
    assert "Use Ray 2.52 or later" in warning


@pytest.mark.parametrize("version", ["2.51.1", "2.53.0", "2.60.0"])
def test_stated_none_is_kept_without_a_warning(version):
    assert resolve({"ray_auth": "none"}, version, "cluster.yaml") == ("none", [])


def test_stated_token_is_refused_with_an_older_ray():
    with pytest.raises(ConfigError, match=r"cluster.yaml: provider.ray_auth is token, and Ray 2.51.1") as caught:
        resolve({"ray_auth": "token"}, "2.51.1", "cluster.yaml")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [False, 0, "", [], True, "off"])
@pytest.mark.parametrize("version", ["2.51.1", "2.60.0"])
def test_other_value_is_refused_with_the_way_to_write_none(cluster_yaml, tmp_path, monkeypatch, value, version):
    """YAML reads `off` and `no` as false."""
    monkeypatch.setattr("ray.__version__", version)
    cluster_yaml["provider"]["ray_auth"] = value

    message = error_of(cluster_yaml, tmp_path)

    assert message.startswith(f"cluster.yaml: provider.ray_auth is {shown(value)}, which is wrong")
    assert message.endswith("write token or none (YAML reads `off` and `no` as false)")
    assert "\n" not in message
