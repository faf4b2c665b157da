"""The `raydog` command. May import `yellowdog_local.cli` and, where it is installed, `yellowdog_ray`."""
