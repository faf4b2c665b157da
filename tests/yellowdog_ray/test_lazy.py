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


def test_lazy_attribute_is_not_made_again_for_thread_that_came_second():
    owner = Owner()
    first = owner.part

    second = Owner.__dict__["part"].__get__(owner, Owner)  # as a thread that read before it was made

    assert second is first
    assert owner.made == 1
