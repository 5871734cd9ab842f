"""The traffic of the benchmark: how it is recorded, written and repeated."""
