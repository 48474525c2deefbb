"""A sound store, and the register of the stores that have a fault each."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from zarrstore_testing import Options

from zarrstore.abc import ABSENT, BlockingStore, Stat, Store

FAULTS: dict[str, Fault] = {}


@dataclass(frozen=True)
class Fault:
    """A store with one fault, and the behaviours that have to find it."""

    make: type[Store]
    found_by: frozenset[str]
    options: Options = field(default_factory=Options)
    in_zarr: bool = True
    """Whether the fault can be seen through the methods that zarr-python's stores have."""

    @property
    def name(self) -> str:
        return self.make.__name__

    @property
    def topic(self) -> str:
        return self.make.__module__.rpartition(".")[2]

    @property
    def words(self) -> str:
        """The name as a phrase."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=A)(?=[A-Z])", " ", self.name).capitalize()


def found_by(
    *names: str, options: Options | None = None, in_zarr: bool = True
) -> Callable[[type[Store]], type[Store]]:
    """Register a store whose fault these behaviours find."""

    def register(cls: type[Store]) -> type[Store]:
        assert cls.__name__ not in FAULTS, cls
        FAULTS[cls.__name__] = Fault(cls, frozenset(names), options or Options(), in_zarr)
        return cls

    return register


class Sound(BlockingStore):
    """A store without a fault, with conditional writes."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.data = {}
        self.versions = {}
        self.count = 0
        self.lock = threading.RLock()

    def _get(self, key):
        return self.data.get(key)

    def _stat(self, key):
        with self.lock:
            value = self.data.get(key)
            return None if value is None else Stat(len(value), self.versions[key])

    def _set(self, key, value):
        with self.lock:
            self.count += 1
            self.data[key] = value
            self.versions[key] = str(self.count)
            return self.versions[key]

    def _set_if(self, key, value, expect):
        with self.lock:
            found = self.versions.get(key) if key in self.data else None
            if found != (None if expect is ABSENT else expect):
                raise self._conflict(key, expect, found)
            return self._set(key, value)

    def _delete(self, key):
        with self.lock:
            self.data.pop(key, None)

    def _list(self, prefix):
        return [key for key in list(self.data) if key.startswith(prefix)]


class SoundAsync(Store):
    """A store without a fault whose hooks are coroutines."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.data = {}

    async def _get(self, key):
        return self.data.get(key)

    async def _set(self, key, value):
        self.data[key] = value

    async def _delete(self, key):
        self.data.pop(key, None)

    def _list(self, prefix):
        return [key for key in list(self.data) if key.startswith(prefix)]
