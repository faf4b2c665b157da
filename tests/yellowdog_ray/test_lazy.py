import threading

import pytest

from yellowdog_ray.lazy import HasLazyParts, lazy


class Owner(HasLazyParts):
    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.fails = False

    @lazy
    def part(self) -> object:
        """A part."""
        if self.fails:
            raise ValueError
        self.made += 1
        return object()

    @lazy
    def composite(self) -> list[object]:
        """Needs another part."""
        return [self.part]


def test_lazy_attribute_is_made_once_at_first_use():
    owner = Owner()
    assert not owner.is_made("part")

    assert owner.part is owner.part

    assert owner.is_made("part")
    assert owner.made == 1


def test_lazy_attribute_may_need_another():
    owner = Owner()

    assert owner.composite == [owner.part]


def test_lazy_attribute_is_made_again_after_failure():
    owner = Owner()
    owner.fails = True
    with pytest.raises(ValueError):
        _ = owner.part

    owner.fails = False

    assert owner.part


def test_lazy_attribute_is_made_once_by_concurrent_threads():
    owner, barrier, seen = Owner(), threading.Barrier(8), []

    def read() -> None:
        barrier.wait()
        seen.append(owner.part)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, seen))) == 1
    assert owner.made == 1
