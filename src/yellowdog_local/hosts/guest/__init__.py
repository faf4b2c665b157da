"""Programs that run on a host: agent, init, process_init. May import the standard library only."""
