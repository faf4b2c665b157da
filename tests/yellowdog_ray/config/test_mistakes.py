"""Mistakes in a YAML: one line each, with their place and without a private key."""

from yellowdog_ray.config.mistakes import shown

BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"


KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n-----END OPENSSH PRIVATE KEY-----\n"


def test_private_key_is_not_shown_in_messages():
    assert shown({"key": KEY}) == "the text of a private key"
