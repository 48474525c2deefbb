"""The contract: every behaviour, section by section."""

from __future__ import annotations

from types import ModuleType

from zarrstore_testing import (
    closing,
    conditional,
    deleting,
    each,
    failures,
    identity,
    keys,
    leaks,
    listing,
    loops,
    machine,
    mapping,
    processes,
    ranges,
    read_only,
    reading,
    requests,
    wrapping,
    writing,
)
from zarrstore_testing.behaviour import Behaviour, registered

__all__ = ["registry"]

_SECTIONS: tuple[ModuleType, ...] = (
    keys,
    ranges,
    reading,
    writing,
    each,
    conditional,
    deleting,
    listing,
    read_only,
    closing,
    mapping,
    identity,
    loops,
    processes,
    requests,
    failures,
    wrapping,
    leaks,
    machine,
)

registry: dict[str, Behaviour] = {
    behaviour.name: behaviour
    for section in _SECTIONS
    for behaviour in registered
    if behaviour.function.__module__ == section.__name__
}
"""Every behaviour by its name, in the order in which they are checked."""
