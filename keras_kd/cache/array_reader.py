"""What a cache holds as NumPy arrays, read without TensorFlow."""

import numpy as np

from keras_kd.cache.components import rebuild
from keras_kd.cache.shards import components_of


def read_arrays(shards, view: int) -> dict:
    """Returns the teacher's answers to all examples, in their order.

    Args:
        shards: The `Shards`, complete and checked.
        view: Which view of the examples.

    Returns:
        The nest of one example's answers, with the examples as a first axis; beside
        `"teacher_features"` the numbers of the examples, `"index"`.
    """
    header, count = shards.header, shards.examples
    components = components_of(header)
    blocks: list[list[np.ndarray]] = [[] for _ in components]
    for number in range(-(-count // header["shard_examples"])):
        for record in _records(shards.file(view, number).read_bytes()):
            contents = _bytes_by_name(record)
            for place, component in enumerate(components):
                blocks[place].append(component.decode_array(contents[str(place)]))
    answers = rebuild(header["structure"], [np.concatenate(each) for each in blocks])
    if "teacher_features" in answers:
        answers["index"] = np.arange(count, dtype="int32")
    return answers


def _records(content):
    """Yields the records of a TFRecord file: each between its length and checksums."""
    position = 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 8], "little")
        start = position + 12
        yield content[start : start + length]
        position = start + length + 4


def _bytes_by_name(example):
    """Returns the first bytes value of each feature of a serialized `tf.train.Example`."""
    found = {}
    for features in _fields(example)[1]:
        for entry in _fields(features)[1]:
            parts = _fields(entry)
            values = _fields(parts[2][0])[1][0]
            found[bytes(parts[1][0]).decode()] = _fields(values)[1][0]
    return found


def _fields(message):
    """Returns the contents of a protocol buffer's length-delimited fields by field number."""
    message, fields, position = memoryview(message), {}, 0
    while position < len(message):
        key, position = _number(message, position)
        length, position = _number(message, position)
        fields.setdefault(key >> 3, []).append(message[position : position + length])
        position += length
    return fields


def _number(message, position):
    """Reads a number of seven bits a byte, the low ones first."""
    value, shift = 0, 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
