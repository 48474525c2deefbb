"""Read-only stores that change, one for each way to change them."""

from __future__ import annotations

from mutants.base import Sound, found_by
from zarrstore.abc import ABSENT, Capability


@found_by("changes_raise_read_only")
class SetIsNotAsked(Sound):
    async def set(self, key, value, *, expect=None):
        if self.read_only and isinstance(value, bytes) and expect is None:
            return (self._view_of or self)._set(key, value)
        return await super().set(key, value, expect=expect)


@found_by("changes_raise_read_only")
class SetManyIsNotAsked(Sound):
    async def set_many(self, items):
        if not self.read_only:
            await super().set_many(items)
            return
        for key, value in dict(items).items():
            (self._view_of or self)._set(key, value)


@found_by("changes_raise_read_only", "set_each_read_only_takes_nothing", in_zarr=False)
class SetEachIsNotAsked(Sound):
    async def set_each(self, items):
        if not self.read_only:
            await super().set_each(items)
            return
        for key, value in items:
            (self._view_of or self)._set(key, value)


@found_by("changes_raise_read_only")
class CreateIsNotAsked(Sound):
    async def set_if_not_exists(self, key, value):
        if not self.read_only:
            return await super().set_if_not_exists(key, value)
        (self._view_of or self)._set_if(key, value, ABSENT)
        return True


@found_by("changes_raise_read_only")
class DeleteIsNotAsked(Sound):
    async def delete(self, key):
        if not self.read_only:
            return await super().delete(key)
        return (self._view_of or self)._delete(key)


@found_by("changes_raise_read_only")
class DeleteOfMissingIsNotAsked(Sound):
    async def delete(self, key):
        if await self.exists(key):
            await super().delete(key)


@found_by("changes_raise_read_only")
class DeleteDirIsNotAsked(Sound):
    async def delete_dir(self, prefix):
        if not self.read_only:
            await super().delete_dir(prefix)
            return
        for key in self._list(prefix.rstrip("/") + "/" if prefix else ""):
            (self._view_of or self)._delete(key)


@found_by("changes_raise_read_only")
class ClearIsNotAsked(Sound):
    async def clear(self):
        if not self.read_only:
            await super().clear()
            return
        for key in self._list(""):
            (self._view_of or self)._delete(key)


@found_by("changes_raise_read_only")
class ChangesAreIgnored(Sound):
    async def set(self, key, value, *, expect=None):
        return None if self.read_only else await super().set(key, value, expect=expect)


@found_by("view_has_no_capability_to_change", in_zarr=False)
class ViewSaysItCanWrite(Sound):
    @property
    def capabilities(self):
        return super().capabilities | Capability.WRITE
