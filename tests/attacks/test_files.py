"""Files of a cache that are damaged, exchanged or forged."""

import json
import random

import keras
import numpy as np
import pytest
from caching import Lines, numbers
from forging import altered, forge

from keras_kd import TeacherCache

pytestmark = [pytest.mark.slow, pytest.mark.core]

X = numbers(64)
DAMAGES = 200
ERRORS = (OSError, ValueError, TypeError)


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Two caches of the same data and of other teachers: two views of four shards each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("keras_kd.cache.identity._SHARD_EXAMPLES", 16)
        patched.setattr("keras_kd.cache.identity._BLOCK_EXAMPLES", 4)
        folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
        for folder, shift in zip(folders, (0.0, 5.0), strict=True):
            TeacherCache(folder, Lines(shift), dtype="float32").label(X, augment=same, views=2)
        keras.config.disable_interactive_logging()
        yield folders


def same(x, seed):
    del seed
    return x + 0.0


def read(folder, labels=True):
    """What the cache answers, by its array reader, and by `label`, too, if that is asked for."""
    cache = TeacherCache(folder, None, dtype="float32")
    answers = [cache.answers(view)["teacher_outputs"] for view in (0, 1)]
    if labels:
        cache.label(X, augment=same, views=2, check="start")
    return answers


def outcome(folder, right, labels):
    """`"refused"`, `"raw"`, `"same"` as before, or `"silent"` where it is something else."""
    try:
        answers = read(folder, labels)
    except ERRORS as error:
        return "refused" if "Received: " in str(error) else "raw"
    except Exception:
        return "raw"
    return "same" if np.array_equal(answers, right) else "silent"


def attack(folder, changes, right):
    """Applies each change, looks what happens, and takes it back.

    Args:
        folder: The cache's.
        changes: Yields `(what, files, change)`; `change()` alters these files and no other.
        right: What the cache answered before.
    """
    tried, found = 0, {"silent": [], "raw": []}
    for what, files, change in changes:
        before = {file: file.read_bytes() for file in files}
        change()
        happened = outcome(folder, right, labels=tried % 10 == 0)
        for file, content in before.items():
            file.write_bytes(content)
        tried += 1
        if happened in found:
            found[happened].append(what)
    assert np.array_equal(read(folder), right)
    return tried, found


def damages(folder):
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".json", ".tfrecord"))
    draw = random.Random(0)
    for number in range(DAMAGES):
        file = draw.choice(files)
        content = bytearray(file.read_bytes())
        how = draw.choice(["flip", "cut", "grow", "zero", "gone"])
        if how == "flip":
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        elif how == "cut":
            del content[draw.randrange(len(content)) :]
        elif how == "grow":
            content += bytes(draw.randrange(1, 100))
        elif how == "zero":
            start = draw.randrange(len(content))
            content[start : start + 8] = bytes(len(content[start : start + 8]))

        def change(file=file, content=bytes(content), how=how):
            if how == "gone":
                file.unlink()
            else:
                file.write_bytes(content)

        yield f"{number}: {how} of {file.name}", [file], change


def test_damages(caches, row):
    folder = caches[0]
    tried, found = attack(folder, damages(folder), read(folder))
    row("Bytes flipped, cut, added, zeroed; files gone", tried, least=DAMAGES, **found)


def exchanges(folder, other):
    def of(where, view, number):
        return [
            where / f"view-{view:03}" / f"shard-{number:05}.{end}" for end in ("tfrecord", "json")
        ]

    places = [(view, number) for view in (0, 1) for number in range(4)]
    pairs = [(a, b) for a in places for b in places if a < b]
    for one, two in pairs:
        files = [*of(folder, *one), *of(folder, *two)]

        def swap(files=files):
            contents = [file.read_bytes() for file in files]
            for file, content in zip(files, contents[2:] + contents[:2], strict=True):
                file.write_bytes(content)

        yield f"{one} with {two}", files, swap
    for place in places:

        def copy(place=place):
            for mine, theirs in zip(of(folder, *place), of(other, *place), strict=True):
                mine.write_bytes(theirs.read_bytes())

        yield f"{place} of another cache", of(folder, *place), copy


def test_exchanged_shards(caches, row):
    folder, other = caches
    tried, found = attack(folder, exchanges(folder, other), read(folder))
    row("Shards exchanged, within a cache and between two", tried, least=20, **found)


def test_descriptions(caches, row):
    folder = caches[0]

    def changes():
        for name in ("cache.json", "examples.json", "view-000/shard-00000.json"):
            file = folder / name
            content = json.loads(file.read_text())["content"]
            for what, other in altered(content):
                yield (
                    f"{name} {what}",
                    [file],
                    lambda file=file, other=other: forge(file, lambda _: other),
                )

    tried, found = attack(folder, changes(), read(folder))
    row("Descriptions altered, with a right checksum", tried, least=140, **found)


def test_malicious_models(tmp_path, row):
    """Code in a `.keras` file is refused where the file is loaded as everyone loads it."""
    silent, tried = [], 0
    ran = tmp_path / "ran"
    for code in (f"__import__('pathlib').Path({str(ran)!r}).touch()", "__import__('os').getpid()"):
        layer = keras.layers.Lambda(eval(f"lambda x: (x, {code})[0]"))
        keras.Sequential([keras.Input((4,)), layer]).save(tmp_path / "bad.keras")
        ran.unlink(missing_ok=True)
        tried += 1
        try:
            keras.saving.load_model(tmp_path / "bad.keras")
            silent.append(code)
        except ValueError:
            silent += [code] if ran.exists() else []
    row("Code in a `.keras` file", tried, least=2, silent=silent)
