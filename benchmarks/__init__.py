"""Benchmarks of RayDog and of the published package, on the same local platform. See `scripts/bench`."""
