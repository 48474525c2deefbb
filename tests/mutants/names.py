"""Keys that are taken for others."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote, unquote

from mutants.base import Sound, found_by


@found_by("case_is_kept")
class FoldsCase(Sound):
    def _get(self, key):
        return super()._get(key.lower())

    def _stat(self, key):
        return super()._stat(key.lower())

    def _set(self, key, value):
        return super()._set(key.lower(), value)


@found_by("unicode_is_not_normalised")
class Normalises(Sound):
    def _get(self, key):
        return super()._get(unicodedata.normalize("NFC", key))

    def _stat(self, key):
        return super()._stat(unicodedata.normalize("NFC", key))

    def _set(self, key, value):
        return super()._set(unicodedata.normalize("NFC", key), value)


@found_by("percent_is_not_decoded")
class DecodesPercent(Sound):
    def _get(self, key):
        return super()._get(unquote(key))

    def _stat(self, key):
        return super()._stat(unquote(key))

    def _set(self, key, value):
        return super()._set(unquote(key), value)


@found_by("long_keys_are_whole")
class CutsLongKeys(Sound):
    def _get(self, key):
        return super()._get(key[:255])

    def _set(self, key, value):
        return super()._set(key[:255], value)


@found_by("illegal_keys_raise")
class ChecksNoKeyOnReads(Sound):
    async def exists(self, key):
        self._check_open()
        return key in (self._view_of or self).data


@found_by("control_characters_are_ordinary")
class StripsSpaces(Sound):
    def _get(self, key):
        return super()._get(key.strip())

    def _stat(self, key):
        return super()._stat(key.strip())

    def _set(self, key, value):
        return super()._set(key.strip(), value)


@found_by("usual_keys_round_trip", "dots_are_ordinary", "list_yields_every_key")
class HidesDotFiles(Sound):
    def _list(self, prefix):
        keys = super()._list(prefix)
        return [key for key in keys if not any(part[0] == "." for part in key.split("/"))]


@found_by("percent_is_not_decoded")
class PlusIsASpace(Sound):
    def _get(self, key):
        return super()._get(key.replace("+", " "))

    def _stat(self, key):
        return super()._stat(key.replace("+", " "))

    def _set(self, key, value):
        return super()._set(key.replace("+", " "), value)


@found_by("url_characters_are_ordinary", "wildcards_are_ordinary")
class CutsAtTheQuery(Sound):
    def _get(self, key):
        return super()._get(key.partition("?")[0])

    def _stat(self, key):
        return super()._stat(key.partition("?")[0])

    def _set(self, key, value):
        return super()._set(key.partition("?")[0], value)


@found_by("percent_is_not_decoded", "unicode_is_ordinary")
class ListsQuotedNames(Sound):
    def _list(self, prefix):
        return [quote(key) for key in super()._list(prefix)]


@found_by("case_is_kept", "prefix_is_compared_as_it_is")
class ListsWithoutCase(Sound):
    def _list(self, prefix):
        return [key for key in list(self.data) if key.lower().startswith(prefix.lower())]

    def _list_dir(self, prefix):
        return {key[len(prefix) :].partition("/")[0].lower() for key in self._list(prefix)}


@found_by("dots_are_ordinary")
class DropsTrailingDots(Sound):
    def _get(self, key):
        return super()._get(key.rstrip("."))

    def _stat(self, key):
        return super()._stat(key.rstrip("."))

    def _set(self, key, value):
        return super()._set(key.rstrip("."), value)


@found_by("unicode_is_ordinary", "unicode_is_not_normalised")
class KeysAreAscii(Sound):
    def _set(self, key, value):
        key.encode("ascii")
        return super()._set(key, value)


@found_by("unicode_is_ordinary")
class KeysAreUtf16Units(Sound):
    def _list(self, prefix):
        stop = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\uffff"
        return [key for key in list(self.data) if prefix <= key < stop]


@found_by("illegal_keys_raise")
class CleansIllegalKeys(Sound):
    async def set(self, key, value, *, expect=None):
        if isinstance(key, str):
            key = "/".join(part for part in key.split("/") if part not in ("", ".", ".."))
        return await super().set(key or "x", value, expect=expect)


@found_by("illegal_prefixes_raise", in_zarr=False)
class CleansIllegalPrefixes(Sound):
    def list_prefix(self, prefix):
        return super().list_prefix(prefix.strip("/") if isinstance(prefix, str) else prefix)


@found_by("long_keys_are_whole")
class LongKeysCollide(Sound):
    def _short(self, key):
        return f"{key[:200]}{key[-40:]}" if len(key) > 240 else key

    def _get(self, key):
        return super()._get(self._short(key))

    def _stat(self, key):
        return super()._stat(self._short(key))

    def _set(self, key, value):
        return super()._set(self._short(key), value)


class OneLevel(Sound):
    """All values in one directory, with something instead of the slashes of their keys."""

    slash = "__"

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.keys = {}

    def _name(self, key):
        return key.replace("/", self.slash)

    def _get(self, key):
        return super()._get(self._name(key))

    def _stat(self, key):
        return super()._stat(self._name(key))

    def _set(self, key, value):
        with self.lock:
            self.keys[self._name(key)] = key
            return super()._set(self._name(key), value)

    def _set_if(self, key, value, expect):
        with self.lock:
            self.keys.setdefault(self._name(key), key)
            return super()._set_if(self._name(key), value, expect)

    def _delete(self, key):
        super()._delete(self._name(key))

    def _list(self, prefix):
        return [key for key in map(self.keys.get, super()._list("")) if key.startswith(prefix)]


@found_by("slash_is_no_other_character")
class UnderscoresAreSlashes(OneLevel):
    pass


@found_by("slash_is_no_other_character")
class EqualsSignIsASlash(OneLevel):
    slash = "="
