"""What `open_store` accepts, and what it says to everything else."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest

import zarrstore
from zarrstore import aio, open_store
from zarrstore.registry import OpenRequest, known_adapters, known_schemes, make_store


def test_paths_and_file_urls_are_local_stores(tmp_path: Path) -> None:
    for given in (tmp_path / "a", str(tmp_path / "a"), f"file://{tmp_path}/a"):
        store = open_store(given)
        assert isinstance(store, zarrstore.LocalStore)
        assert store.root == tmp_path / "a"
    assert not (tmp_path / "a").exists()


def test_a_relative_path_is_absolute_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("a/b")
    assert store.url == f"file://{tmp_path}/a/b"


def test_the_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/a").url == f"file://{tmp_path}/a"


def test_a_zip_by_name_or_content_is_a_zip_store(tmp_path: Path) -> None:
    assert isinstance(open_store(tmp_path / "new.zip"), zarrstore.ZipStore)
    with zipfile.ZipFile(tmp_path / "renamed.dat", "w") as archive:
        archive.writestr("a", b"1")
    store = open_store(str(tmp_path / "renamed.dat"), mode="r")
    assert isinstance(store, zarrstore.ZipStore)
    assert store.sync["a"] == b"1"
    (tmp_path / "directory.zip").mkdir()
    assert isinstance(open_store(tmp_path / "directory.zip"), zarrstore.LocalStore)


def test_named_memory_is_shared_and_a_path_in_it_is_a_view() -> None:
    open_store("memory://shared-by-name").sync["a/b"] = b"1"
    assert open_store("memory://shared-by-name").sync["a/b"] == b"1"
    assert dict(open_store("memory://shared-by-name/a").sync) == {"b": b"1"}
    assert "a/b" not in open_store("memory://another-name").sync
    with pytest.raises(zarrstore.StoreURLError, match="names no store"):
        open_store("memory://")


def test_none_is_a_new_memory_store() -> None:
    first, second = open_store(), open_store(None)
    first.sync["a"] = b"1"
    assert isinstance(first, zarrstore.MemoryStore)
    assert len(second.sync) == 0


def test_an_empty_dict_is_the_data() -> None:
    data: dict[str, Any] = {}
    open_store(data).sync["a"] = b"1"
    assert data == {"a": b"1"}


def test_mappings() -> None:
    ordered = collections.OrderedDict(a=b"1")
    assert isinstance(open_store(ordered), zarrstore.MemoryStore)
    user: collections.UserDict[str, bytes] = collections.UserDict(a=b"1")
    store = open_store(user)
    assert isinstance(store, zarrstore.MappingStore)
    assert store.sync["a"] == b"1"


def test_a_store_and_its_blocking_face() -> None:
    store = zarrstore.MemoryStore()
    assert open_store(store) is store
    assert open_store(store.sync) is store
    assert open_store(store, mode="a") is store
    store.sync["a"] = b"1"
    view = open_store(store, mode="r")
    assert view.read_only
    assert view.sync["a"] == b"1"


def test_fsspec_objects(tmp_path: Path) -> None:
    from upath import UPath

    fs = fsspec.filesystem("memory")
    fs.pipe_file("/registry-test/a", b"1")
    for given in (
        fs.get_mapper("/registry-test"),
        (fs, "/registry-test"),
        UPath("memory://registry-test"),
    ):
        store = open_store(given)
        assert isinstance(store, zarrstore.RemoteStore), given
        assert store.sync["a"] == b"1"
    assert isinstance(open_store(UPath(tmp_path)), zarrstore.LocalStore)


def test_pipelines_with_a_local_zip(tmp_path: Path) -> None:
    with open_store(f"{tmp_path}/x.zip|zip:").sync as store:
        store["inner/a"] = b"1"
        store["b"] = b"2"
    assert zipfile.is_zipfile(tmp_path / "x.zip")
    assert dict(open_store(f"file://{tmp_path}/x.zip|zip:inner/", mode="r").sync) == {"a": b"1"}
    (tmp_path / "x.zip").rename(tmp_path / "x")
    assert dict(open_store(f"{tmp_path}/x|zip:inner", mode="r").sync) == {"a": b"1"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_pipelines_with_a_zip_in_another_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "inner.zip").sync as store:
        store["deep/a"] = b"1"
    archive = (tmp_path / "inner.zip").read_bytes()
    open_store("memory://pipelines").sync["folder/x.zip"] = archive
    store = open_store("memory://pipelines/folder/x.zip|zip:deep/", mode="r")
    assert dict(store.sync) == {"a": b"1"}
    with open_store(tmp_path / "outer.zip").sync as outer:
        outer["boxes/inner.zip"] = archive
    nested = open_store(f"{tmp_path}/outer.zip|zip:boxes/inner.zip|zip:deep", mode="r")
    assert nested.sync["a"] == b"1"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nothing://x", "unknown scheme 'nothing'.*known are .*file.*memory.*s3"),
        ("x|nothing:", r"unknown adapter 'nothing:'.*known are n5, zip"),
        ("x|y", "unknown adapter 'y'"),
        ("s3:/bucket/x", r"did you mean 's3://bucket/x'"),
        ("", "empty path"),
        ("memory://a/|zip:", "does not name a file"),
        ("|zip:", "nothing before"),
        ("|n5:", "nothing before"),
        ("x||zip:", "nothing before"),
        ("file:/a", "did you mean 'file:///a'"),
        ("file:a", "did you mean 'file://a'"),
        ("memory:x", "did you mean 'memory://x'"),
        ("S3:b/x", "did you mean 's3://b/x'"),
        ("a://x", "unknown scheme 'a'"),
        ("://x", "unknown scheme ''"),
        ("a\0b", "NUL"),
        ("nothing://user:secret@host/x?token=abc", r"unknown scheme"),
    ],
)
def test_bad_urls(url: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(zarrstore.StoreURLError, match=says) as caught:
        open_store(url)
    assert isinstance(caught.value, ValueError)
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("given", [3, b"path", 1.5, object(), ["a"], {"a"}, ("a", "b")])
def test_other_objects_are_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="accepted are a Store, a path or URL string"):
        open_store(given)


def test_a_missing_package_is_named_with_its_extra() -> None:
    script = """
        import sys
        sys.modules["s3fs"] = None
        import zarrstore
        try:
            zarrstore.open_store("s3://user:secret@bucket/x")
        except zarrstore.StoreURLError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert "pip install 'zarrstore[s3]'" in done.stdout, done.stderr
    assert "secret" not in done.stdout


def test_what_a_string_means_does_not_hang_on_its_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url, shown in [
        ("HTTP://h/x", "http://h/x"),
        ("Memory://x/", "memory://x"),
        ("memory://x//a/", "memory://x/a"),
        (f"FILE://localhost{tmp_path}/a", f"file://{tmp_path}/a"),
        ("a b#c?d/", f"file://{tmp_path}/a b#c?d"),
        ("x.zip/", f"file://{tmp_path}/x.zip|zip:"),
        ("x.zip|zip", f"file://{tmp_path}/x.zip|zip:"),
        ("FILE://x.zip|ZIP:", f"file://{tmp_path}/x.zip|zip:"),
    ]:
        assert open_store(url).url == shown
    assert open_store("x.zip|zip:/a/") == open_store("x.zip|zip:a")
    assert open_store("x.zip|zip:a").url == f"file://{tmp_path}/x.zip|zip:a"


def test_a_zip_behind_a_chain_is_not_a_local_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with zarrstore.open_group("x.zip", mode="w") as group:
        group.create_array("a", data=[1, 2, 3])
    fsspec.filesystem("memory").pipe_file("/chained/x.zip", Path("x.zip").read_bytes())
    for chain in ("dir", "simplecache"):
        array = zarrstore.open(f"{chain}::memory://chained/x.zip|zip:a", mode="r")
        assert isinstance(array, zarrstore.Array)
        assert array[...].tolist() == [1, 2, 3]
    assert os.listdir() == ["x.zip"]


def test_a_file_that_is_no_zip_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for given in (tmp_path / "notes.txt", f"file://{tmp_path}/notes.txt"):
        with pytest.raises(zarrstore.StoreURLError, match="is a file, and neither a zip file"):
            open_store(given, mode="w")
    assert (tmp_path / "notes.txt").read_text() == "hello"


def test_a_slash_behind_a_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    for name in ("f", "f/", "f//"):
        with pytest.raises(zarrstore.StoreURLError, match="is a file"):
            make_store(f"{tmp_path}/{name}")
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it: to read it would wait
    make_store(tmp_path / "pipe")


def test_storage_options_must_fit(tmp_path: Path) -> None:
    assert open_store(tmp_path / "a", storage_options={"durable": True}).durable  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"'anon'.*takes only durable"):
        open_store(tmp_path / "a", storage_options={"anon": True})
    with pytest.raises(TypeError, match=r"'anon'.*memory takes none"):
        open_store("memory://a", storage_options={"anon": True})
    with pytest.raises(TypeError, match="are a mapping, not str"):
        open_store(tmp_path / "a", storage_options="anon")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="storage_options go with a URL"):
        open_store({}, storage_options={"anon": True})


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for mode in ("r", "r+"):
        with pytest.raises(zarrstore.NodeNotFoundError, match="create it with mode 'a'"):
            open_store(path, mode=mode)  # type: ignore[arg-type]
        assert not path.exists()
    open_store(path, mode="w-").sync["k"] = b"1"
    with pytest.raises(zarrstore.NodeExistsError, match="not empty"):
        open_store(path, mode="w-")
    assert open_store(path, mode="r").read_only
    with pytest.raises(zarrstore.ReadOnlyError):
        open_store(path, mode="r").sync["k"] = b"2"
    assert open_store(path, mode="r+").sync["k"] == b"1"
    assert open_store(path).sync["k"] == b"1"
    assert "k" not in open_store(path, mode="w").sync
    with pytest.raises(ValueError, match="mode is one of r, r\\+, a, w, w-, not 'x'"):
        open_store(path, mode="x")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_open_store_as_a_coroutine(tmp_path: Path) -> None:
    store = await aio.open_store(tmp_path / "a", mode="w")
    await store.set("k", b"1")
    again = await aio.open_store(tmp_path / "a", mode="r")
    assert await again.get("k") == b"1"
    with pytest.raises(zarrstore.NodeNotFoundError):
        await aio.open_store(tmp_path / "b", mode="r")


PLUGIN = """
from zarrstore import MemoryStore, PrefixStore

class ShoutStore(MemoryStore):
    @classmethod
    def from_request(cls, request):
        assert request.url == "shout://hello", request
        return cls({"said": request.rest.upper().encode()}, read_only=request.read_only)

def folder(request):
    return PrefixStore(request.below.open(), request.rest)
"""
ENTRY_POINTS = """
[zarrstore.stores]
shout = shouting:ShoutStore

[zarrstore.adapters]
folder = shouting:folder
"""


def _plugin(tmp_path: Path, entry_points: str = ENTRY_POINTS, name: str = "shouting") -> None:
    (tmp_path / f"{name}.py").write_text(PLUGIN)
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_other_packages_add_schemes_and_adapters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plugin(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    store = open_store("shout://hello", mode="r")
    assert store.sync["said"] == b"HELLO"
    assert store.read_only
    open_store("memory://adapters").sync["a/b"] = b"1"
    assert open_store("memory://adapters|folder:a").sync["b"] == b"1"
    assert "shout" in known_schemes()
    assert known_adapters() == ["folder", "n5", "zip"]


def test_a_scheme_that_two_packages_register_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plugin(tmp_path)
    _plugin(tmp_path, "[zarrstore.stores]\nshout = another:Store\n", "another")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(zarrstore.StoreURLError, match="two packages register 'shout'"):
        open_store("shout://hello")


def test_make_store_does_no_io(tmp_path: Path) -> None:
    assert make_store(tmp_path / "missing", read_only=True).read_only
    assert os.listdir(tmp_path) == []


def test_what_a_handler_is_given_shows_no_credentials() -> None:
    below = OpenRequest("s3://me:secret@bucket/x.zip", False, {"key": "hidden"})
    shown = repr(OpenRequest("zip:a", True, {"token": "hidden"}, below))
    assert "secret" not in shown
    assert "hidden" not in shown
    assert "s3://***@bucket/x.zip" in shown
