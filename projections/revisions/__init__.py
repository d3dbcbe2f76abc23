"""How a database gets from one shape to the next, a module per step."""
