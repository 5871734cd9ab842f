"""Live sessions of real clients with a server that breaks, and the same sessions replayed."""
