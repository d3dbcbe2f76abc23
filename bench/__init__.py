"""Measurements: what one worker does in a second, beside what the bare client could."""
