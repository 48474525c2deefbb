"""Missing keys, and directories taken for keys."""

from __future__ import annotations

from mutants.base import Sound, found_by
from zarrstore.abc import ABSENT, Stat


@found_by("get_missing_is_none")
class MissingRaises(Sound):
    def _get(self, key):
        return self.data[key]


@found_by("get_missing_is_none", "store_is_new_and_writable")
class MissingIsEmpty(Sound):
    def _get(self, key):
        return self.data.get(key, b"")


@found_by("exists_is_true_for_keys", "directory_is_not_a_key")
class DirectoriesExist(Sound):
    def _exists(self, key):
        return key in self.data or bool(super()._list(f"{key}/"))


@found_by("directory_is_not_a_key", "ranges_of_a_missing_key")
class DirectoryIsAnEmptyValue(Sound):
    def _get(self, key):
        value = self.data.get(key)
        return b"" if value is None and self._list(f"{key}/") else value


@found_by("directory_is_not_a_key")
class DirectoryRaises(Sound):
    def _get(self, key):
        if self._list(f"{key}/"):
            raise IsADirectoryError(key)
        return self.data.get(key)


@found_by("directory_is_not_a_key", in_zarr=False)
class DirectoryHasASize(Sound):
    def _stat(self, key):
        return super()._stat(key) or (Stat(4096) if self._list(f"{key}/") else None)

    def _exists(self, key):
        return key in self.data


@found_by("exists_is_true_for_keys")
class ExistsByItsBeginning(Sound):
    def _get(self, key):
        return next((self.data[each] for each in list(self.data) if each.startswith(key)), None)

    def _exists(self, key):
        return any(each.startswith(key) for each in list(self.data))


@found_by("getsize_is_in_bytes", "errors_name_store_and_key")
class SizeOfMissingIsZero(Sound):
    async def getsize(self, key):
        stat = await self.stat(key)
        return stat.size if stat else 0


@found_by("stat_knows_the_size", "exists_is_true_for_keys")
class StatOfMissingRaises(Sound):
    def _stat(self, key):
        return Stat(len(self.data[key]), self.versions[key])


@found_by("delete_removes")
class DeletedStaysKnown(Sound):
    def _stat(self, key):
        known = self.__dict__.setdefault("known", {})
        return known.get(key)

    def _set(self, key, value):
        version = super()._set(key, value)
        self.__dict__.setdefault("known", {})[key] = Stat(len(value), version)
        return version

    def _set_if(self, key, value, expect):
        with self.lock:
            if expect is ABSENT and key not in self.data:
                return self._set(key, value)
            return super()._set_if(key, value, expect)


@found_by("get_missing_is_none")
class ManyMissingAreEmpty(Sound):
    def _get_many(self, requests):
        return NotImplemented

    async def get(self, key, byte_range=None):
        return await super().get(key, byte_range) or b""
