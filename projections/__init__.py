"""What is true now: rows derived from facts, written in one transaction."""
