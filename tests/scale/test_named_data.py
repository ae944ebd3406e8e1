"""A set of TensorFlow Datasets in several files, read in parts."""

import itertools

import numpy as np
import pytest
import tensorflow_datasets as tfds
from caching import Lines, read
from variants import first_of

from keras_kd.scale import LabelJob
from keras_kd.scale.named_data import NamedData

pytestmark = pytest.mark.usefixtures("small_shards")
FILES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    numbers = np.arange(60, dtype="float32")
    tfds.dataset_builders.store_as_tfds_dataset(
        name="numbers",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {"x": tfds.features.Tensor(shape=(1,), dtype=np.float32), "y": np.int64}
        ),
        split_datasets={
            name: list(enumerate({"x": [x], "y": int(x)} for x in part))
            for name, part in {"train": numbers[:40], "test": numbers[40:]}.items()
        },
        data_dir=path,
        download_config=tfds.download.DownloadConfig(num_shards=FILES),
    )
    assert len(list(path.rglob("numbers-train*"))) == FILES
    return path


def values(dataset):
    return [float(example["x"][0]) for example in dataset.as_numpy_iterator()]


@first_of("split", ["train[10%:90%]+test", "test[:5]+train[3:30]", "train"])
def test_parts_after_one_another_are_the_whole_file_after_file(folder, split):
    data = NamedData("numbers", split, folder)
    whole = values(data.read(0, data.examples))
    plain = tfds.load("numbers", split=split, data_dir=folder)
    assert sorted(whole) == sorted(values(plain))
    assert data.examples == len(whole)
    edges = [0, 7, 8, 21, data.examples]
    parts = [values(data.read(*edge)) for edge in itertools.pairwise(edges)]
    assert list(itertools.chain(*parts)) == whole


def test_a_part_reads_no_other_files(folder):
    data = NamedData("numbers", "train", folder)
    last = sorted(folder.rglob("numbers-train*"))[-1]
    content = last.read_bytes()
    last.write_bytes(b"damaged")
    try:
        assert len(values(data.read(0, 20))) == 20
    finally:
        last.write_bytes(content)


def test_a_set_is_labelled_by_its_name(folder, tmp_path):
    job = LabelJob(
        tmp_path,
        Lines,
        "numbers",
        split="train",
        data_dir=folder,
        count=2,
        dtype="float32",
        prepare=lambda example: (example["x"], example["y"]),
    )
    assert [job(index).labelled for index in range(2)] == [16, 24]
    x, y = read(job.read(check="all"))
    np.testing.assert_array_equal(x["inputs"][:, 0], y)
    np.testing.assert_allclose(x["teacher_outputs"], Lines()(x["inputs"]))


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("numbers", "valid", "`split` must be of .*test.*train.*Received: split='valid'"),
        ("numbers", "train[", "`split` must be of"),
        ("nothing_so", "train", "must be one of these.*name='nothing_so'"),
        ("mnist", "train", "must be prepared before workers read it"),
    ],
)
def test_what_is_not_there_is_said(folder, name, split, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        NamedData(name, split, folder)
