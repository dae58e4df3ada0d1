"""Video that is watched, and steered, as it comes."""
