"""What a node does: commands in, facts out."""
