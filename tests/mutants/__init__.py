"""Stores with one realistic fault each: what the conformance kit has to find."""

from mutants import (
    concurrency,
    conditional,
    deleting,
    each,
    errors,
    leaks,
    lifecycle,
    listing,
    missing,
    names,
    ranges,
    read_only,
    requests,
    values,
    wrappers,
)
from mutants.base import FAULTS, Fault, Sound, SoundAsync

TOPICS = (
    values, ranges, missing, names, listing, deleting, read_only, conditional, each, lifecycle,
    concurrency, wrappers, errors, requests, leaks,
)  # fmt: skip

__all__ = ["FAULTS", "TOPICS", "Fault", "Sound", "SoundAsync"]
