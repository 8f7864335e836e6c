"""Speed and memory, measured: nothing in the library imports this. ``python -m benchmarks.training --help``."""
