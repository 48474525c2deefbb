"""Zarr stores for Python: one asyncio `Store` for every backend, opened from a string."""
