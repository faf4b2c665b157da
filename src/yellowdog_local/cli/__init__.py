"""The commands of `raydog local`. May import `hosts`, `service`."""
