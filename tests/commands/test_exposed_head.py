"""`ray up` warns of a head that other networks reach and that requires no token."""

import pytest
import yaml


@pytest.fixture(autouse=True)
def _addresses_are_public(monkeypatch):
    monkeypatch.setattr("yellowdog_ray.commands.exposure._is_public", lambda address: address is not None)


@pytest.mark.parametrize(("mode", "is_warned"), [("none", True), ("token", False)])
def test_ray_up_warns_of_public_head_unless_it_requires_a_token(laptop, mode, is_warned):
    laptop.yaml["provider"]["ray_auth"] = mode
    laptop.file.write_text(yaml.safe_dump(laptop.yaml))

    first, second = laptop.up(), laptop.up()

    for up in (first, second):
        assert up.exit_code == 0, up.output
        assert ("its Ray requires no token" in " ".join(up.output.split())) == is_warned
