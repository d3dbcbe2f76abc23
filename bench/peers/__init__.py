"""What others offer, measured in the same run as the service: `make bench-peers`."""
