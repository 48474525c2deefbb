"""Listings that leave out, repeat or invent."""

from __future__ import annotations

import threading
import time

from zarrstore_testing import Options

from mutants.base import Sound, found_by


@found_by("prefix_ends_at_a_segment")
class ListsSiblings(Sound):
    def _list(self, prefix):
        return [key for key in list(self.data) if key.startswith(prefix.rstrip("/"))]


@found_by("prefix_is_not_a_pattern")
class PrefixIsLike(Sound):
    def _list(self, prefix):
        def like(key):
            return all(p in ("_", k) for p, k in zip(prefix, key, strict=False))

        return [key for key in list(self.data) if len(key) > len(prefix) and like(key)]


@found_by("list_yields_every_key")
class ListsTwice(Sound):
    def _list(self, prefix):
        keys = super()._list(prefix)
        return keys + keys[:1]


@found_by("many_keys_are_listed")
class FirstPageOnly(Sound):
    def _list(self, prefix):
        return super()._list(prefix)[:1000]


@found_by("list_dir_yields_children")
class NamesWithSlashes(Sound):
    def _list_dir(self, prefix):
        below = [key[len(prefix) :] for key in super()._list(prefix)]
        return {name + slash for name, slash, _ in (key.partition("/") for key in below)}


@found_by("list_dir_yields_children")
class NamesOfKeysOnly(Sound):
    def _list_dir(self, prefix):
        below = [key[len(prefix) :] for key in super()._list(prefix)]
        return [name for name in below if "/" not in name]


@found_by("prefix_goes_with_its_last_key")
class PrefixesStay(Sound):
    def _set(self, key, value):
        self.__dict__.setdefault("made", set()).update(
            key[: i + 1] for i, letter in enumerate(key) if letter == "/"
        )
        return super()._set(key, value)

    def _list_dir(self, prefix):
        names = [*super()._list(""), *self.__dict__.get("made", ())]
        below = [name[len(prefix) :] for name in names if name.startswith(prefix)]
        return {name.partition("/")[0] for name in below} - {""}


@found_by("listing_while_keys_change", "deleting_while_listing")
class ListsALiveDict(Sound):
    def _list(self, prefix):
        return (key for key in self.data if key.startswith(prefix))


@found_by("listings_beside_writers")
class FailsBesideAWriter(Sound):
    def _list(self, prefix):
        def wanted(key):
            return key.startswith(prefix)

        return [key for key in self.data if wanted(key)]


@found_by("listing_while_keys_change")
class PagesByNumber(Sound):
    def _list(self, prefix):
        number = 0
        while page := sorted(super()._list(prefix))[number : number + 10]:
            yield from page
            number += 10


@found_by("getsize_prefix_adds_up")
class SizeOfOneLevel(Sound):
    def _getsize_prefix(self, prefix):
        keys = super()._list(prefix)
        return sum(len(self.data[key]) for key in keys if "/" not in key[len(prefix) :])


@found_by("is_empty_tells")
class EmptyLooksAtTheRoot(Sound):
    def _is_empty(self, prefix):
        return not self.data


@found_by("list_yields_every_key", "list_prefix_yields_full_keys")
class ListsDirectories(Sound):
    def _list(self, prefix):
        keys = super()._list(prefix)
        return {*keys, *(key.rpartition("/")[0] for key in keys if "/" in key[len(prefix) :])}

    def _list_dir(self, prefix):
        return {key[len(prefix) :].partition("/")[0] for key in super()._list(prefix)}


@found_by("list_prefix_yields_full_keys", "prefix_slash_is_optional")
class NamesFromThePrefix(Sound):
    def _list(self, prefix):
        return [key[len(prefix) :] for key in super()._list(prefix)]

    def _list_dir(self, prefix):
        return {key.partition("/")[0] for key in self._list(prefix)}


@found_by("list_dir_yields_children")
class NamesOnceAKey(Sound):
    def _list_dir(self, prefix):
        return [key[len(prefix) :].partition("/")[0] for key in super()._list(prefix)]


@found_by("list_yields_every_key")
class ListsWhatItFirstSaw(Sound):
    def _list(self, prefix):
        if "seen" not in self.__dict__:
            self.seen = super()._list("")
        return [key for key in self.seen if key.startswith(prefix)]


@found_by("delete_dir_deletes_below")
class ListsDeletedKeys(Sound):
    def _list(self, prefix):
        known = self.__dict__.setdefault("known", {})
        known.update(dict.fromkeys(list(self.data)))
        return [key for key in known if key.startswith(prefix)]


@found_by("partial_writes_are_not_listed")
class ListsTemporaryFiles(Sound):
    def _set(self, key, value):
        temporary = f"{key}.{threading.get_ident()}.partial"
        self.data[temporary] = b""
        self.versions[temporary] = ""
        time.sleep(0)
        try:
            return super()._set(key, value)
        finally:
            self.data.pop(temporary, None)


@found_by("many_keys_are_listed")
class RepeatsAtThePageBorder(Sound):
    def _list(self, prefix):
        keys = super()._list(prefix)
        return keys[:1000] + keys[999:] if len(keys) > 1000 else keys


@found_by("listings_side_by_side", "listings_at_once")
class OneCursorForAll(Sound):
    def _list(self, prefix):
        self.keys = iter(sorted(super()._list(prefix)))
        while (key := next(self.keys, None)) is not None:
            yield key


@found_by("is_empty_tells")
class NeverEmpty(Sound):
    def _is_empty(self, prefix):
        return False


@found_by("is_empty_tells", "prefix_is_not_its_own_key")
class KeyIsNotEmpty(Sound):
    def _is_empty(self, prefix):
        return not super()._list(prefix.rstrip("/"))


@found_by("getsize_prefix_adds_up")
class SizeCountsKeys(Sound):
    def _getsize_prefix(self, prefix):
        return len(super()._list(prefix))


@found_by("list_dir_of_nothing")
class MissingPrefixRaises(Sound):
    def _list_dir(self, prefix):
        keys = super()._list(prefix)
        if prefix and not keys:
            raise FileNotFoundError(prefix)
        return {key[len(prefix) :].partition("/")[0] for key in keys}


@found_by("list_dir_of_nothing", "prefix_is_not_its_own_key")
class KeyIsItsOwnChild(Sound):
    def _list_dir(self, prefix):
        names = {key[len(prefix) :].partition("/")[0] for key in super()._list(prefix)}
        path = prefix.rstrip("/")
        return names | {path.rpartition("/")[2]} if path in self.data else names


@found_by("listing_broken_off", options=Options(timeout=3))
class LocksWhileItLists(Sound):
    def _list(self, prefix):
        if not self.lock.acquire(timeout=1):
            raise TimeoutError("another listing is under way")
        yield from super()._list(prefix)
        self.lock.release()

    async def set(self, key, value, *, expect=None):
        if "broken" in self.__dict__:
            raise TimeoutError
        return await super().set(key, value, expect=expect)
