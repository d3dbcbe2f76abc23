"""What happened: the facts, the commands, and the log that holds them."""
