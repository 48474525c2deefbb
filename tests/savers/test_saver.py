"""`Saver`: what is checked for savers of every format."""

from __future__ import annotations

import numpy as np
import pytest

import zarrstore
from zarrstore.savers import Saver, ZarrSaver


class Recording(Saver):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.calls = []

    def _append(self, values, options):
        self.calls.append(("append", values, options))

    def _overwrite(self, values, options):
        self.calls.append(("overwrite", values, options))

    def _update(self, values, indices, options):
        self.calls.append(("update", values, indices, options))


@pytest.mark.parametrize("saver", [Recording, ZarrSaver])
@pytest.mark.parametrize("approach", ["insert", "", None, "Append", 1])
def test_unknown_approach(saver, approach, tmp_path):
    with pytest.raises(ValueError, match="'append', 'overwrite', 'update'"):
        saver(tmp_path / "x", approach=approach)
    assert not (tmp_path / "x").exists()


def test_defaults():
    saver = Recording("place")
    assert (saver.file_path, saver.dataset_name, saver.approach) == ("place", "dataset", "append")
    assert repr(saver) == "<Recording 'dataset' approach='append'>"
    with pytest.raises(TypeError, match="str"):
        Recording("place", 3)
    with pytest.raises(TypeError, match="abstract"):
        Saver("place")


def test_is_given_arrays():
    saver = Recording("place")
    saver.save(3, chunks=2)
    (how, values, options) = saver.calls[0]
    assert (how, values.tolist(), options) == ("append", [3], {"chunks": 2})
    saver = Recording("place", approach="overwrite")
    saver.save(3)
    assert saver.calls[0][1].shape == ()


def test_an_empty_list_is_no_result():
    found = {}
    for data in ([], ["a"], (), ["b"]):
        ZarrSaver(found).save(data)
    for data in ([], [[1, 2]], []):
        ZarrSaver(found, "rows").save(data)
    assert zarrstore.load(found, path="dataset").tolist() == ["a", "b"]
    assert zarrstore.load(found, path="rows").tolist() == [[1, 2]]
    ZarrSaver(found, "typed").save([], dtype="int8")
    ZarrSaver(found, "new", "overwrite").save([])
    assert [zarrstore.load(found, path=path).size for path in ("typed", "new")] == [0, 0]


@pytest.mark.parametrize("indices", [0, [], np.array([]), (), slice(0, 0), False])
def test_no_indices_are_not_those_that_are_empty(indices):
    saver = Recording("place", approach="update")
    saver.save([], indices=indices)
    assert saver.calls[0][2] is indices
    with pytest.raises(ValueError, match="indices"):
        saver.save([1])
    with pytest.raises(ValueError, match="indices go with approach='update'"):
        Recording("place").save([1], indices=indices)
