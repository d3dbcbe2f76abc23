"""What happens next: facts turned into rows and commands."""
