"""The HTTP routes, one module per service, without logic. May import anything but `cli`, `service`."""
