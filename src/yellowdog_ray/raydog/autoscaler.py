"""The path that existing YAML names: `module: yellowdog_ray.raydog.autoscaler.RayDogNodeProvider`."""

from yellowdog_ray.provider import RayDogNodeProvider

__all__ = ["RayDogNodeProvider"]
