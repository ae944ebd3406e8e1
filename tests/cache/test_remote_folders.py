"""Caches behind addresses: nothing is locked, and what counts is whole."""

import hashlib
import json
import re
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
from caching import Lines, answers_are_read_from_files, assert_labelled, numbers
from remote_stores import Faulty, empty_store

from keras_kd import TeacherCache
from keras_kd.cache import remote_folder

pytestmark = [pytest.mark.core, pytest.mark.alike]

X = numbers(100)


@pytest.fixture(autouse=True)
def stores(monkeypatch):
    monkeypatch.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 16)
    monkeypatch.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)
    empty_store()
    remote_folder._held.cache_clear()
    yield
    empty_store()


@pytest.fixture(params=["memory", "file", "faulty"])
def address(request, tmp_path):
    """An address of a store that makes nothing atomic but a move."""
    return f"file://{tmp_path}/says" if request.param == "file" else f"{request.param}://b/says"


def cache_at(address, teacher=None, **settings):
    return TeacherCache(address, Lines() if teacher is None else teacher, **settings)


def test_label_answers_and_resume(address, monkeypatch):
    with monkeypatch.context() as patch:
        answers_are_read_from_files(patch)
        assert_labelled(cache_at(address, dtype="float32").label(X), X)
    again = TeacherCache(address, None, dtype="float32")
    assert again.complete and again.path == address
    assert_labelled(again.label(X), X)
    np.testing.assert_array_equal(again.answers()["teacher_outputs"][:, 0], X[:, 0])
    teacher = Lines()
    cache_at(address, teacher, dtype="float32").label(X)
    assert teacher.asked == 4  # a block, to know it again


def test_a_path_of_an_address_is_one():
    assert cache_at(Path("memory://b/says")).path == "memory://b/says"


def test_what_is_copied_from_a_store_is_a_folder(address, tmp_path):
    cache_at(address, dtype="float32").label(X)
    files, root = fsspec.url_to_fs(address)
    files.get(root, str(tmp_path / "copy"), recursive=True)
    copy = TeacherCache(tmp_path / "copy", None, dtype="float32")
    assert_labelled(copy.label(X), X)


def test_a_folder_that_is_copied_to_a_store_is_read_there(address, tmp_path):
    cache_at(tmp_path / "local", dtype="float32").label(X)
    files, root = fsspec.url_to_fs(address)
    files.put(f"{tmp_path}/local/", f"{root}/", recursive=True)
    assert_labelled(TeacherCache(address, None, dtype="float32").label(X), X)


def test_parts_of_several_workers(address):
    for index in (2, 0):
        cache_at(address).label_shard(X, index, 3, batch_size=16)
    assert not cache_at(address).complete
    teacher = Lines()
    assert_labelled(cache_at(address, teacher).label(X, batch_size=16), X, atol=0.05)
    assert teacher.asked == 4 + 32  # and the second of three turns: shards 1 and 4


def as_another_begins(monkeypatch, request_name, path_ends, act):
    """Calls `act()` once, before the first request of that name for such a path."""

    def plan(request, path):
        if request == request_name and path.endswith(path_ends):
            Faulty.plan = staticmethod(lambda request, path: None)
            act()

    Faulty.plan = staticmethod(plan)


@pytest.mark.parametrize(
    ("request_name", "path_ends"),
    [
        ("mv", "cache.json"),
        ("mv", "examples.json"),
        ("put", ""),
        ("mv", "shard-00002.json"),
        ("cat", "shard-00003.json"),
        ("info", ".tfrecord"),
    ],
)
def test_another_writer_may_do_all_at_any_moment(monkeypatch, request_name, path_ends):
    # The other's answers differ in their last bits, as another machine's may: float32 keeps them.
    others = cache_at("faulty://b/says", lambda x: Lines()(x) + 1e-4, dtype="float32")
    act = lambda: others.label(X)  # noqa: E731
    as_another_begins(monkeypatch, request_name, path_ends, act)
    assert_labelled(cache_at("faulty://b/says", dtype="float32").label(X), X, atol=2e-4)
    assert Faulty.plan("put", "") is None, "the other never came"
    fresh = TeacherCache("faulty://b/says", None, dtype="float32")
    assert_labelled(fresh.label(X), X, atol=2e-4)


def requests_of(work):
    """The requests that `work()` makes of the store, in their order."""
    seen = []
    Faulty.plan = staticmethod(lambda request, path: seen.append((request, path)))
    work()
    return seen


@pytest.mark.parametrize("fault", ["raise", "half", "lost"])
def test_whatever_request_fails_the_next_run_goes_on(fault):
    x = X[:33]

    def label():
        return cache_at("faulty://b/says", dtype="float32").label(x)

    kinds = {}  # of each kind of request the first: another shard's is no other
    for number, (request, path) in enumerate(requests_of(label)):
        kinds.setdefault((request, re.sub(r"\d|-[0-9a-f]{32}", "", path)), number)
    chosen = [n for (name, _), n in kinds.items() if fault == "raise" or name == "put"]
    assert {name for name, _ in kinds} == {"cat", "get", "info", "mv", "put"}
    silent = 0
    for failing in chosen:
        empty_store()
        left = [failing]

        def plan(request, path, left=left):
            left[0] -= 1
            if left[0] != -1:
                return None
            if fault == "raise":
                raise RuntimeError("503, slow down")
            return fault

        Faulty.plan = staticmethod(plan)
        try:
            assert_labelled(label(), x)
            silent += 1
        except OSError as error:
            assert "faulty://b/says" in str(error)
        Faulty.plan = staticmethod(lambda request, path: None)
        assert_labelled(label(), x)
    assert silent == 0


@pytest.mark.parametrize("content", [b"", b"other"])
def test_a_shard_that_has_changed_is_found(content):
    cache_at("faulty://b/says").label(X)
    name = next(name for name in Faulty.store if "shard-00003-" in name)
    whole = Faulty.store[name].getvalue()
    Faulty(skip_instance_cache=True).pipe_file(name, content)
    with pytest.raises(OSError, match=rf"damaged: {len(whole)} bytes expected.*{len(content)} byt"):
        cache_at("faulty://b/says").label(X)
    Faulty(skip_instance_cache=True).pipe_file(name, whole[:-1] + b"\0")
    remote_folder._held.cache_clear()  # as another process, which has no copy yet
    with pytest.raises(OSError, match="damaged: checksum"):
        cache_at("faulty://b/says").label(X)


def test_a_name_that_leads_elsewhere_is_refused(tmp_path):
    address = f"file://{tmp_path}/says"
    cache_at(address).label(X)
    seal = tmp_path / "says" / "view-000" / "shard-00003.json"
    content = json.loads(seal.read_text())["content"] | {"file": "../../elsewhere"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    seal.write_text(json.dumps({"content": content, "checksum": digest}))
    with pytest.raises(OSError, match=r"seal of a shard must tell"):
        cache_at(address).label(X)


def test_a_store_that_may_not_be_written_or_read():
    def refuse(request, path):
        if request in refused:
            raise PermissionError("403")

    refused = {"put"}
    Faulty.plan = staticmethod(refuse)
    with pytest.raises(OSError, match=r"could not be written.*faulty://b/says.*403"):
        cache_at("faulty://b/says").label(X)
    refused = {"cat"}
    with pytest.raises(OSError, match=r"could not be read.*faulty://b/says.*403"):
        cache_at("faulty://b/says").label(X)


def test_without_fsspec_an_address_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"pip install fsspec.*path='gs://b/says'"):
        cache_at("gs://b/says")
