"""Programs that run on a host: agent, init, process_init. Standard library only; no other module of ours."""
