"""Caches behind addresses: nothing is locked, and what counts is whole."""

import concurrent.futures
import hashlib
import json
import re
import sys
from pathlib import Path, PureWindowsPath

import fsspec
import keras
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
    remote_folder._COPIES.clear()
    yield
    empty_store()


# The faulty store is the one in memory, and a store of files is read and forged below.
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("file", "faulty")]


@pytest.fixture(params=["memory", *OTHERS])
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


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (Path("memory://b/says"), "memory://b/says"),
        ("memory://b/says/", "memory://b/says"),
        (Path("file:///tmp/says"), "file:///tmp/says"),
        (PureWindowsPath("memory://b/says"), "memory://b/says"),
    ],
)
def test_a_path_of_an_address_is_one(given, address):
    assert TeacherCache(given, None).path == address


@pytest.mark.parametrize("given", ["simplecache::memory://b/says", "hdfs:/data/says"])
def test_an_address_that_may_mean_another_place_is_refused(given):
    with pytest.raises(ValueError, match="one store, with all its slashes"):
        TeacherCache(given, None)


def test_a_store_that_is_not_there_may_be_tried_again(monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError("not yet")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(OSError, match=r"could not be reached.*memory://b/says.*not yet"):
        TeacherCache("memory://b/says", None)


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


def label_and_meet(monkeypatch, own, other, request_name, path_ends):
    """What one `label` raises or gives, where another one does all in the midst of it."""
    as_another_begins(monkeypatch, request_name, path_ends, other)
    try:
        return own()
    finally:
        Faulty.plan = staticmethod(lambda request, path: None)


@pytest.mark.parametrize("moment", [("mv", "cache.json"), ("cat", "examples.json")])
def test_two_teachers_that_begin_at_once_are_not_mixed(monkeypatch, moment):
    teachers = [keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)]) for _ in range(2)]

    def label(teacher):
        return lambda: cache_at("faulty://b/says", teacher, dtype="float32").label(X)

    words = r"Another cache was begun|another teacher|where another one belongs"
    with pytest.raises((OSError, ValueError), match=words) as refused:
        label_and_meet(monkeypatch, *map(label, teachers), *moment)
    if "where another one belongs" in str(refused.value):  # nobody has a cache, and is told so
        return
    (right,) = [t for t in teachers if begun_by("faulty://b/says", t)]
    found = TeacherCache("faulty://b/says", None, dtype="float32").answers()["teacher_outputs"]
    np.testing.assert_allclose(found, right.predict(X, verbose=0), atol=1e-4)


def begun_by(address, teacher):
    try:
        cache_at(address, teacher, dtype="float32").label(X)
    except ValueError as error:
        assert "another teacher" in str(error)
        return False
    return True


@pytest.mark.parametrize(
    "moment",
    [
        ("mv", "shard-00002.json"),
        ("mv", "shard-00006.json"),
        ("cat", "shard-00006.json"),
        ("get", ".tfrecord"),
    ],
)
def test_two_data_sets_that_meet_are_not_mixed(monkeypatch, moment):
    other = X.copy()
    other[50:] += 0.5  # beyond what is looked at first

    def label(x):
        return lambda: cache_at("faulty://b/says", dtype="float32").label(x)

    try:
        labelled = label_and_meet(monkeypatch, label(X), label(other), *moment)
    except (OSError, ValueError) as error:
        assert "not the one that was labelled" in str(error)
    else:
        assert_labelled(labelled, X)


def test_what_was_removed_is_labelled_again_by_the_same_cache(address):
    cache = cache_at(address, dtype="float32")
    cache.label(X)
    files, root = fsspec.url_to_fs(address)
    for name in files.find(root):
        if "shard-00003" in name:
            files.rm_file(name)
    assert not cache.complete
    assert cache.missing_parts(7) == [3]
    assert_labelled(cache.label(X), X)
    files.rm(root, recursive=True)
    assert_labelled(cache.label(X), X)
    assert TeacherCache(address).missing_parts(7) == []


@pytest.mark.slow
def test_threads_share_a_cache_and_its_copies(address):
    cache = cache_at(address, dtype="float32")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for labelled in [pool.submit(cache.label, X) for _ in range(3)]:
            assert_labelled(labelled.result(), X)


@pytest.mark.parametrize("content", [b"", b"other"])
def test_a_shard_that_has_changed_is_found(content):
    cache_at("faulty://b/says").label(X)
    name = next(name for name in Faulty.store if "shard-00003-" in name)
    whole = Faulty.store[name].getvalue()
    Faulty(skip_instance_cache=True).pipe_file(name, content)
    with pytest.raises(OSError, match=rf"damaged: {len(whole)} bytes expected.*{len(content)} byt"):
        cache_at("faulty://b/says").label(X)
    Faulty(skip_instance_cache=True).pipe_file(name, whole[:-1] + b"\0")
    remote_folder._COPIES.clear()  # as another process, which has no copy yet
    with pytest.raises(OSError, match="damaged: checksum"):
        cache_at("faulty://b/says").label(X)


@pytest.mark.parametrize(
    "forged", [{"file": "../../elsewhere"}, {"checksum": "/tmp/elsewhere"}, {"content": 3}]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, forged):
    address = f"file://{tmp_path}/says"
    cache_at(address).label(X)
    seal = tmp_path / "says" / "view-000" / "shard-00003.json"
    content = json.loads(seal.read_text())["content"] | forged
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
