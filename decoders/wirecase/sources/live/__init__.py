"""A proxy in a process of its own that passes bytes on untouched, and a ring through which it tells of them."""
