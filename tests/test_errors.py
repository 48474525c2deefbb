"""The error tree: what each is a kind of, its fields, its pickle."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from zarrstore import errors
from zarrstore.errors import BackendError, ConflictError, ZarrStoreError

CLASSES = [
    cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, ZarrStoreError)
]
BUILTINS = {
    "AccessDeniedError": (PermissionError, OSError),
    "BackendError": (OSError,),
    "InvalidKeyError": (ValueError,),
    "KeyNotFoundError": (KeyError, FileNotFoundError),
    "MetadataError": (ValueError,),
    "NodeExistsError": (FileExistsError,),
    "NodeNotFoundError": (FileNotFoundError,),
    "ReadOnlyError": (PermissionError,),
    "StoreClosedError": (ValueError,),
    "StoreURLError": (ValueError,),
    "UnsupportedOperationError": (NotImplementedError,),
}


def test_every_error_is_exported_and_drawn_in_the_docstring():
    assert sorted(errors.__all__) == sorted(cls.__name__ for cls in CLASSES)
    for cls in CLASSES:
        assert cls.__name__ in errors.__doc__
        assert cls.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_builtins(cls):
    for builtin in BUILTINS.get(cls.__name__, ()):
        assert issubclass(cls, builtin)


@pytest.mark.parametrize("cls", CLASSES)
def test_message_and_fields(cls):
    error = cls("what happened")
    assert str(error) == "what happened"
    assert error.store is error.key is None
    error = cls("no 'a'", store="memory://x", key="a")
    assert (str(error), error.store, error.key) == ("no 'a'", "memory://x", "a")


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy]
    + [
        lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ],
)
def test_pickle_and_copy(cls, clone):
    error = cls("no 'a'", store="memory://x", key="a")
    found = clone(error)
    assert type(found) is cls
    assert found is not error
    assert (str(found), found.store, found.key) == (str(error), error.store, error.key)


def test_fields_of_their_own():
    conflict = ConflictError("lost", key="a", expected="1", found=None)
    found = pickle.loads(pickle.dumps(conflict))
    assert (found.key, found.expected, found.found) == ("a", "1", None)
    for cls in (BackendError, errors.AccessDeniedError):
        found = pickle.loads(pickle.dumps(cls("full", errno=28)))
        assert found.errno == 28
        assert found.filename is None


def test_a_key_error_shows_its_message_as_it_is():
    assert str(errors.KeyNotFoundError("no key 'a'\nin b")) == "no key 'a'\nin b"


def test_caught_as_the_builtin():
    with pytest.raises(KeyError):
        raise errors.KeyNotFoundError("x")
    with pytest.raises(PermissionError):
        raise errors.AccessDeniedError("x")
