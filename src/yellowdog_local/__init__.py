"""A YellowDog platform on one Linux machine: its REST API, and real local hosts on which tasks run."""
