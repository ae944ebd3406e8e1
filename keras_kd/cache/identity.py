"""What a cache is of, and how it knows that again."""

import keras
import numpy as np

from keras_kd.cache.header import FORMAT
from keras_kd.cache.shards import parse_block
from keras_kd.features.model_digest import has_own_classes, model_digest
from keras_kd.lazy_modules import tf

_BLOCK_BYTES = 2**20  # of one record in a file
_BLOCK_EXAMPLES = 1024  # in one record, at most
_SHARD_BYTES = 2**26  # of one file
_SHARD_EXAMPLES = 2048  # in one file, at most: what an interruption can lose
_AGREE = 0.02  # of a function's answers again, where 8 bits of precision are stored
_OTHER_CLASSES = 0.2
_CHANGED = {
    "settings": (
        "was made with other settings",
        "Use those, or label the data into another folder",
    ),
    "teacher": (
        "holds the answers of another teacher, in its config, its weights or its file",
        "Load that teacher, or label the data into another folder",
    ),
    "data": (
        "belongs to other data, or to the same data in another order",
        "Give the data that were labelled, or label these into another folder",
    ),
    "augmentation": (
        "was made with another augmentation",
        "Give that function, or label the data into another folder",
    ),
}


def identity(settings, teacher, source) -> dict:
    """Returns what must be the same whenever a cache is used.

    Args:
        settings: The cache's.
        teacher: A model, a function, or None.
        source: The `Source`.
    """
    found = {"format": FORMAT, "settings": {**settings, "views": source.views}}
    if isinstance(teacher, keras.Model):
        found["teacher"] = model_digest(teacher)
    elif hasattr(teacher, "fingerprint"):
        found["teacher"] = str(teacher.fingerprint())
    elif teacher is not None:
        found["teacher"] = "a function"
    return {**found, **source.digests()}


def new_header(wanted, labeller, source, batch_size) -> dict:
    """Runs the teacher on a first batch and returns the header of a new cache."""
    _, seen = next(source.batches(0, batch_size))
    labeller.learn(seen)
    size = sum(component.size for component in labeller.components)
    block = _power_of_two(min(_BLOCK_EXAMPLES, _BLOCK_BYTES // size))
    shard = max(block, _power_of_two(min(_SHARD_EXAMPLES, _SHARD_BYTES // size)))
    return {**wanted, **labeller.config(), "shard_examples": shard, "block_examples": block}


def compare(header, wanted, folder):
    """Raises a ValueError that says which part of `wanted` is not what the header says."""
    for name, value in wanted.items():
        if header[name] == value:
            continue
        problem, advice = _CHANGED[name]
        received, cached = value, header[name]
        if name == "settings":
            changed = [key for key in value if value[key] != header[name].get(key)]
            received = ", ".join(f"{key}={value[key]!r}" for key in changed)
            cached = ", ".join(f"{key}={header[name].get(key)!r}" for key in changed)
        raise ValueError(
            f"The cache in '{folder}' {problem}. {advice}. Received: {received}, cached: {cached}"
        )


def compare_answers(shards, header, labeller, source):
    """Raises a ValueError if a teacher does not answer as it did when the cache was begun.

    A function has no config and no weights: where it brings no `fingerprint` either, its answers to
    the first examples are all that it is known by. What a class of the user's own does is in no
    config.
    """
    teacher = labeller.teacher
    if (labeller.is_model and not has_own_classes(teacher)) or shards.seal(0, 0) is None:
        return
    record = next(iter(tf.data.TFRecordDataset(str(shards.file(0, 0))).take(1)))
    components = [component.plain() for component in labeller.components]
    known = [tensor.numpy() for tensor in parse_block(record, components)]
    count = min(len(known[0]), 16)
    _, seen = next(source.batches(0, count))
    for answer, stored in zip(labeller(seen, 0), known, strict=True):
        if _differ(answer, stored[:count]):
            problem, advice = _CHANGED["teacher"]
            raise ValueError(
                f"The cache in '{shards.folder}' {problem}. {advice}. Received: "
                + (f"'{teacher.name}'" if labeller.is_model else "a function")
                + f" whose answers to the first {count} examples are others than those that are "
                "cached"
            )


def _differ(answer, stored):
    if np.issubdtype(stored.dtype, np.integer):  # top-k classes, of which some may be as likely
        return np.mean(answer != stored) > _OTHER_CLASSES
    stored, answer = stored.astype("float64"), answer.astype("float64")
    return np.abs(answer - stored).max() > _AGREE * (1.0 + np.abs(stored).max())


def _power_of_two(size):
    return 2 ** (max(1, int(size)).bit_length() - 1)
