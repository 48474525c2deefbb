"""Time arrays beside the same work in other libraries: ``python -m benchmarks.arrays``."""
