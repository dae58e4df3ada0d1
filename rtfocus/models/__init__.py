"""Depth networks by name: the one that comes with rtfocus, and published ones to be pulled."""
