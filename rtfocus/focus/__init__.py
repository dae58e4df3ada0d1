"""Where the focus belongs, from frame to frame."""
