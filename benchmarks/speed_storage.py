"""How fast labels are written and read, in the formats that a cache could have."""

import importlib.util
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

import keras_kd
from keras_kd.evaluation.run_report import markdown_table

CLASSES, BLOCK = 10, 1024


def reading_line(count, repeats):
    """Reads labels through a cache, with the examples' numbers as inputs."""
    answers = _answers(count)
    with tempfile.TemporaryDirectory() as folder:
        cache = keras_kd.TeacherCache(folder, lambda i: answers[i])
        labelled = cache.label(np.arange(count), batch_size=BLOCK).batch(BLOCK)
        rates = [count / _seconds(lambda: _exhaust(labelled)) for _ in range(repeats)]
    return (
        f"- reading labels of {CLASSES} classes through `TeacherCache`, with their examples' "
        f"numbers, in batches of {BLOCK}: {np.median(rates):,.0f} examples/s, median of {repeats} "
        f"({min(rates):,.0f} to {max(rates):,.0f})"
    )


def format_lines(count, repeats):
    """Writes and reads the same labels in several formats; returns a table."""
    labels = _answers(count).astype("float16")
    formats = {
        "TFRecord, blocks of 1,024 (chosen)": (_write_blocks, _read_blocks),
        "TFRecord, one example a record": (_write_examples, _read_examples),
        "`tf.data.Dataset.save`, blocks of 1,024": (_save_blocks, _load_blocks),
        "`tf.data.Dataset.save`, single examples": (_save_examples, _load_examples),
    }
    if importlib.util.find_spec("array_record"):
        formats["ArrayRecord, blocks of 1,024"] = (_write_array_record, _read_array_record)
    rows = [["labels alone", "written/s", "read/s", "bytes/example"]]
    for name, (write, read) in formats.items():
        found = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "labels"
                written = _seconds(lambda w=write, p=path: w(labels, p))
                reading = _seconds(lambda r=read, p=path: _check(r(p), count))
                size = sum(file.stat().st_size for file in Path(folder).rglob("*.*"))
            found.append((count / written, count / reading, size / count))
        middle = np.median(found, axis=0)
        rows.append([name, f"{middle[0]:,.0f}", f"{middle[1]:,.0f}", f"{middle[2]:.1f}"])
    return [*markdown_table(rows).splitlines(), ""]


def _answers(count):
    return np.random.default_rng(0).normal(size=(count, CLASSES)).astype("float32")


def _blocks(labels):
    return (labels[i : i + BLOCK] for i in range(0, len(labels), BLOCK))


def _decoded(record):
    return tf.reshape(tf.io.decode_raw(record, tf.float16), (-1, CLASSES))


def _write_blocks(labels, path):
    with tf.io.TFRecordWriter(f"{path}.tfrecord") as writer:
        for block in _blocks(labels):
            writer.write(block.tobytes())


def _read_blocks(path):
    records = tf.data.TFRecordDataset(f"{path}.tfrecord")
    return records.map(_decoded, num_parallel_calls=tf.data.AUTOTUNE)


def _write_examples(labels, path):
    with tf.io.TFRecordWriter(f"{path}.tfrecord") as writer:
        for label in labels:
            writer.write(label.tobytes())


def _read_examples(path):
    return (
        tf.data.TFRecordDataset(f"{path}.tfrecord")
        .batch(BLOCK)
        .map(_decoded, num_parallel_calls=tf.data.AUTOTUNE)
    )


def _save_blocks(labels, path):
    tf.data.Dataset.from_tensor_slices(labels).batch(BLOCK).save(f"{path}.saved")


def _load_blocks(path):
    return tf.data.Dataset.load(f"{path}.saved")


def _save_examples(labels, path):
    tf.data.Dataset.from_tensor_slices(labels).save(f"{path}.saved")


def _load_examples(path):
    return tf.data.Dataset.load(f"{path}.saved").batch(BLOCK)


def _write_array_record(labels, path):
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(f"{path}.arrayrecord", "group_size:1")
    for block in _blocks(labels):
        writer.write(block.tobytes())
    writer.close()


def _read_array_record(path):
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(f"{path}.arrayrecord")
    return (np.frombuffer(block, "float16").reshape(-1, CLASSES) for block in reader.read_all())


def _check(batches, count):
    found = sum(len(batch) for batch in batches)
    if found != count:
        raise RuntimeError(f"{count} labels were written and {found} read")


def _exhaust(dataset):
    for _ in dataset:
        pass


def _seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
