"""RayDog: a Ray node provider that rents its nodes through YellowDog."""

__version__ = "0.1.0"
