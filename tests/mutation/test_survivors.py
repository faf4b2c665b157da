"""The list of judged survivors fits the source; mutants are identified by their change."""

import pytest

from tests.guards.guard import ROOT
from tests.mutation.survivors import Mutant, judgements

DIFF = """--- src/yellowdog_ray/cluster/backoff.py
+++ src/yellowdog_ray/cluster/backoff.py
@@ -1,2 +1,2 @@
 def left(self):
-    return a + 1
+    return a + 2
"""


def test_mutant_is_identified_by_function_and_change():
    mutant = Mutant("cluster/backoff.py", "yellowdog_ray.cluster.backoff.xǁBackoffǁleft__mutmut_3", "survived", DIFF)

    assert mutant.function == "cluster/backoff.py Backoff.left"
    assert mutant.change == "return a + 1 => return a + 2"
    assert mutant.survived


@pytest.mark.parametrize(("status", "survived"), [("killed", False), ("timeout", False), ("no tests", True)])
def test_mutant_survives_unless_its_tests_failed(status, survived):
    assert Mutant("names.py", "x", status, "").survived == survived


def test_mutant_outside_the_sample_counts_as_nothing():
    mutant = Mutant("names.py", "x", "not checked", "")

    assert (mutant.checked, mutant.survived) == (False, False)


@pytest.mark.parametrize(("function", "changes"), judgements().items())
def test_judged_survivor_exists_in_the_source(function, changes):
    module, _, name = function.partition(" ")
    source = (ROOT / "src/yellowdog_ray" / module).read_text()
    one_line = " ".join(source.split())

    assert f"def {name.rpartition('.')[2]}(" in source
    assert [change for change in changes if " ".join(change.partition(" => ")[0].split()) not in one_line] == []
