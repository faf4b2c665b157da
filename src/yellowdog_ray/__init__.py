"""RayDog: a Ray node provider that rents its nodes through YellowDog."""

__version__ = "3.0.0"
