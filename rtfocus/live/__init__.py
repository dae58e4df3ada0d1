"""What a user may change while video runs, and everything that runs it."""
