"""The `raydog` command. May import `yellowdog_local.cli` and, where it is installed, `yellowdog_ray`.

Of `yellowdog_ray`: `cluster`, `commands`, `config`, `errors`, `inventory` and `names`; none at the program's start.
"""
