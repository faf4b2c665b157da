import pytest

pytest.register_assert_rewrite("tests.commands.account", "tests.commands.laptop")
