"""Where parts meet: wiring, HTTP, command line."""
