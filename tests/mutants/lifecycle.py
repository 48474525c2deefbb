"""Views, pickles, closing, equality."""

from __future__ import annotations

import os
import tempfile

from zarrstore_testing import Options

from mutants.base import Sound, found_by
from zarrstore.abc import Capability
from zarrstore.errors import KeyNotFoundError


@found_by("working_directory_may_change")
class RelativePath(Sound):
    def _get(self, key):
        if self.__dict__.setdefault("directory", os.getcwd()) != os.getcwd():
            return None
        return super()._get(key)


@found_by("context_manager_passes_exceptions_on")
class SwallowsExceptions(Sound):
    async def __aexit__(self, *error):
        await self.close()
        return True


@found_by("pickle_opens_the_same_data_here", "pickle_opens_the_same_data_elsewhere")
class PicklesACopy(Sound):
    def __reduce__(self):
        return _copied, (self.data, self.versions, self.count)


def _copied(data, versions, count):
    store = PicklesACopy()
    store.data, store.versions, store.count = dict(data), dict(versions), count
    return store


@found_by("pickle_opens_the_same_data_here")
class DeadPickle(Sound):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.path = tempfile.gettempdir()

    def _location(self):
        return {"path": self.path}


@found_by("equality_is_of_the_data")
class AllAreEqual(Sound):
    def _identity(self):
        return "the same"


@found_by("repr_has_no_secrets")
class ShowsItsPassword(Sound):
    @property
    def url(self):
        return f"https://me:{'secret'}@host/{id(self.data)}"


@found_by("use_after_close_raises")
class WorksAfterClose(Sound):
    def _check_open(self):
        pass

    async def close(self):
        pass


@found_by("closing_a_view")
class ViewClosesItsOriginal(Sound):
    async def close(self):
        if self._view_of is not None:
            await self._view_of.close()
        await super().close()


@found_by("view_has_the_same_data")
class ViewIsACopy(Sound):
    def with_read_only(self, read_only=True):
        view = type(self)(read_only=read_only)
        view.data, view.versions = dict(self.data), dict(self.versions)
        return view


@found_by("close_is_idempotent", "closed_view_raises")
class SecondCloseRaises(Sound):
    async def close(self):
        self._check_open()
        await super().close()


@found_by("context_manager_closes", "context_manager_passes_exceptions_on")
class ContextManagerLeavesItOpen(Sound):
    async def __aexit__(self, *error):
        pass


@found_by("context_manager_closes", in_zarr=False)
class ContextManagerGivesAnother(Sound):
    async def __aenter__(self):
        return self.with_read_only()


@found_by("pickle_opens_the_same_data_here")
class PickleForgetsReadOnly(Sound):
    def __reduce__(self):
        if not self.read_only:
            return super().__reduce__()
        return self.with_read_only(False).__reduce__()


@found_by("equality_is_of_the_data")
class HashChangesWithTheData(Sound):
    def __hash__(self):
        return hash((self.read_only, len(self.data)))

    __eq__ = Sound.__eq__


@found_by("equality_is_of_the_data")
class ViewsDiffer(Sound):
    def _identity(self):
        return id(self)


@found_by("equality_is_of_the_data")
class ReadOnlyDoesNotCount(Sound):
    def __eq__(self, other):
        return isinstance(other, Sound) and self.data is other.data

    def __hash__(self):
        return id(self.data)


@found_by("closed_view_raises")
class ViewCannotBeClosed(Sound):
    async def close(self):
        if self._view_of is None:
            await super().close()


@found_by("views_close_with_their_store")
class ViewOutlivesItsStore(Sound):
    def with_read_only(self, read_only=True):
        view = super().with_read_only(read_only)
        view._check_open = lambda: None
        original = self

        async def get(key, byte_range=None):
            return (original._view_of or original)._get(key)

        view.get = get
        return view


@found_by("view_has_the_same_data")
class ViewOfAMoment(Sound):
    def with_read_only(self, read_only=True):
        view = super().with_read_only(read_only)
        moment = type(self)(read_only=read_only)
        moment.data, moment.versions = dict(self.data), dict(self.versions)
        view._view_of = moment
        return view


@found_by("errors_name_store_and_key", "getsize_is_in_bytes")
class ErrorsNameNothing(Sound):
    async def getsize(self, key):
        try:
            return await super().getsize(key)
        except KeyNotFoundError:
            raise KeyNotFoundError("no such key") from None


@found_by("capabilities_are_stable", in_zarr=False)
class LosesACapability(Sound):
    @property
    def capabilities(self):
        found = super().capabilities
        return found & ~Capability.LIST if self.data else found


@found_by("repr_has_no_secrets")
class ReprHasManyLines(Sound):
    def __repr__(self):
        return f"ReprHasManyLines(\n{self.url}\n)"


@found_by("reopened_store_has_the_same_data", options=Options(reopen=lambda s: s.again()))
class KeepsThreeKeysForLater(Sound):
    """Writes reach what is reopened when there are three of them, and at no other time."""

    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.saved = {}

    def _set(self, key, value):
        version = super()._set(key, value)
        if len(self.data) > 2:
            self.saved.update(self.data)
        return version

    def again(self):
        store = type(self)()
        store.data = dict(self.saved)
        store.versions = dict(self.versions)
        return store


@found_by("reopened_store_has_the_same_data", options=Options(reopen=lambda s: s.again()))
class DeletedComesBack(Sound):
    def __init__(self, *, read_only=False):
        super().__init__(read_only=read_only)
        self.saved = {}

    def _set(self, key, value):
        self.saved[key] = value
        return super()._set(key, value)

    def again(self):
        store = type(self)()
        for key, value in self.saved.items():
            store._set(key, value)
        return store
