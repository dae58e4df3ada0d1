"""The browser page: video down, controls up."""
