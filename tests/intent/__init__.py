import pytest

pytest.register_assert_rewrite("tests.intent.account", "tests.intent.laptop")
