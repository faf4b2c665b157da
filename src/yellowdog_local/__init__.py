"""A YellowDog platform on one Linux machine: its REST API, and real hosts that run tasks. May import nothing."""
