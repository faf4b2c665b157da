"""Measures RayDog, and the package that users have had before it, on the same local platform. See `scripts/bench`."""
