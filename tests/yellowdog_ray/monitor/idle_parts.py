"""The parts of an idle cluster's end on a platform of views, for its tests."""

from dataclasses import replace
from types import SimpleNamespace

from tests.yellowdog_ray.inventory.conftest import TAG, make_work
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.monitor.idle_end import Begun, IdleEnd
from yellowdog_ray.names import pool_name, token_of
from yellowdog_ray.platform.types import PoolView

HEAD = "head-0a0b0c0d"


class Parts:
    """The parts of one end, which records its calls."""

    def __init__(self, folder):
        self.calls = []
        self.work = make_work()
        self.pool = PoolView("p", TAG, "RUNNING", False, "c")
        self.pools = {}
        self.is_over = True
        self.is_launching = False
        self.refusal = None
        self.refused = {"p", "w"}
        self.unanswered_ends = 0
        self.unreadable = ""
        self.begun = Begun(folder / "store" / "idle-end", HEAD)
        self.platform = SimpleNamespace(
            find_pool=self._find_pool,
            shut_down_pool=self._shut_down_pool,
            listed_pools=lambda _: [],
            pool=None,
            end_compute_after=self._end_compute_after,
            documents=lambda *_, **__: [],
            cancel_work_requirement=self._cancel,
        )
        self.is_closed = False
        self.launcher = SimpleNamespace(close=self._close, open=self._open)

    def _close(self, _why):
        self.is_closed = self.is_closed or not self.is_launching
        return not self.is_launching

    def _open(self):
        self.is_closed = False

    def _shut_down_pool(self, pool_id):
        self.calls.append(f"shut down {pool_id}")
        if self.refusal is not None and pool_id in self.refused:
            raise self.refusal

    def _end_compute_after(self, compute_id, time):
        self.calls.append(f"end {compute_id} in {time.seconds} s")
        if self.unanswered_ends:
            self.unanswered_ends -= 1
            raise Unavailable("no answer")

    def _cancel(self, work_id):
        self.calls.append(f"cancel {work_id}")
        if self.refusal is not None and "work" in self.refused:
            raise self.refusal

    def _find_pool(self, name):
        if isinstance(self.pool, Exception):
            raise self.pool
        if name == self.unreadable:
            raise Unavailable("no answer")
        return self.pools.get(name, self.pool)

    def note_final(self):
        if "final" not in self.calls:
            self.calls.append("final")

    @property
    def rest(self):
        """The calls of a final end of the head alone."""
        return ["final", "end c in 45 s", f"cancel {self.work.id}"]

    def make(self):
        """The end as a new process makes it."""
        cluster = SimpleNamespace(find=lambda: self.work)
        return IdleEnd(self.platform, cluster, self.launcher, ScriptedIdleness(self), self.begun)


class ScriptedIdleness:
    """Whether the time of these parts is over."""

    def __init__(self, parts):
        self._parts = parts
        self.end = parts.note_final
        self.tick = lambda: None

    def is_over(self):
        return self._parts.is_over

    @property
    def seconds_left(self):
        return 0.0 if self._parts.is_over else None


WORKERS = pool_name("demo", "cpu", token_of(TAG))


def add_workers(parts):
    """Let the cluster have a worker pool, named `WORKERS`, with the id `w`."""
    (head,) = parts.work.groups
    placement = replace(head.placement, worker_tags=(WORKERS,))
    parts.work = replace(parts.work, groups=(head, replace(head, name="cpu", worker_tag=WORKERS, placement=placement)))
    parts.pools[WORKERS] = PoolView("w", WORKERS, "RUNNING", False, "cw")
