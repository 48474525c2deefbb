"""Deleting too much or too little."""

from __future__ import annotations

import fnmatch

from mutants.base import Sound, found_by


@found_by("delete_is_idempotent")
class DeleteOfMissingRaises(Sound):
    def _delete(self, key):
        del self.data[key]


@found_by("delete_leaves_directories", "delete_touches_one_key")
class DeleteTakesTheDirectory(Sound):
    def _delete(self, key):
        for other in list(self.data):
            if other.startswith(key):
                self.data.pop(other, None)


@found_by("delete_dir_leaves_siblings")
class PrefixWithoutSlash(Sound):
    def _delete_dir(self, prefix):
        for key in list(self.data):
            if key.startswith(prefix.rstrip("/")):
                self.data.pop(key, None)


@found_by("delete_dir_deletes_below", "clear_empties")
class DeletesOneLevel(Sound):
    def _delete_dir(self, prefix):
        for key in self._list(prefix):
            if "/" not in key[len(prefix) :]:
                self._delete(key)


@found_by("delete_dir_leaves_siblings")
class DeleteDirTakesItsKey(Sound):
    def _delete_dir(self, prefix):
        self._delete(prefix.rstrip("/"))
        for key in self._list(prefix):
            self._delete(key)


@found_by("delete_dir_deletes_many")
class DeletesAHundred(Sound):
    def _delete_dir(self, prefix):
        for key in self._list(prefix)[:100]:
            self._delete(key)


@found_by("delete_dir_is_idempotent", "clear_empties")
class DeleteDirOfMissingRaises(Sound):
    def _delete_dir(self, prefix):
        keys = self._list(prefix)
        if not keys:
            raise FileNotFoundError(prefix)
        for key in keys:
            self._delete(key)


@found_by("clear_empties")
class ClearKeepsHiddenFiles(Sound):
    def _delete_dir(self, prefix):
        for key in self._list(prefix):
            if not key.startswith("."):
                self._delete(key)


@found_by("clear_empties", in_zarr=False)
class ClosesWhenCleared(Sound):
    async def clear(self):
        await super().clear()
        await self.close()


@found_by("delete_dir_deletes_below", "delete_dir_leaves_siblings")
class DeletesByPattern(Sound):
    def _delete_dir(self, prefix):
        for key in list(self.data):
            if fnmatch.fnmatch(key, f"*{prefix}*"):
                self._delete(key)

    async def delete_dir(self, prefix):
        await super().delete_dir(prefix if prefix.endswith("/") or not prefix else f"{prefix}b")


@found_by("delete_removes", "delete_touches_one_key")
class DeletesLater(Sound):
    def _delete(self, key):
        gone = self.__dict__.setdefault("gone", [])
        gone.append(key)
        if len(gone) > 3:
            super()._delete(gone.pop(0))


@found_by("delete_dir_deletes_below")
class DirectoriesThatAreDeletedStayKnown(Sound):
    def _exists(self, key):
        return key in self.__dict__.setdefault("known", set())

    def _set(self, key, value):
        self.__dict__.setdefault("known", set()).add(key)
        return super()._set(key, value)

    def _delete(self, key):
        self.__dict__.setdefault("known", set()).discard(key)
        super()._delete(key)

    def _delete_dir(self, prefix):
        for key in self._list(prefix):
            super()._delete(key)


@found_by("delete_removes")
class DeletesTheFirstPart(Sound):
    """A table with a row for each 64 KiB: of those that are left the next value takes some."""

    def _set(self, key, value):
        with self.lock:
            rest = self.__dict__.setdefault("rest", {})
            if key in self.data or not rest.get(key):
                rest[key] = value[65536:]
                return super()._set(key, value)
            return super()._set(key, value[:65536] + rest[key])
