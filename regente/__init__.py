"""How people get in: the launcher and the command line."""
