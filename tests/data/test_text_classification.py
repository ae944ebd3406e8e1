import os

import pytest
import tensorflow_datasets as tfds

from keras_kd.data import text_classification

DATA_DIR = os.environ.get("KERAS_KD_DATA_DIR")
needs_data = pytest.mark.skipif(
    not DATA_DIR, reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are"
)
TEXT, LABEL = tfds.features.Text(), tfds.features.ClassLabel(names=["bad", "good"])


def write(folder, features, *, splits=None):
    """Writes a set that is no TFDS name and has no supervised form."""
    values = {"label": lambda index: index % 2}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="made",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: [
                (n, {key: values.get(key, "Satz {}, naïve".format)(n) for key in features})
                for n in range(size)
            ]
            for split, size in (splits or {"train": 20, "test": 5}).items()
        },
        data_dir=folder,
    )


def test_texts_are_raw_strings_in_the_sets_own_order(tmp_path):
    write(tmp_path, {"question": TEXT, "label": LABEL})
    data = text_classification("made", tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 5)
    assert (data.num_classes, data.class_names) == (2, ("bad", "good"))
    text, label = data.train.element_spec
    assert (text.shape, text.dtype.name) == ((), "string")
    assert (label.shape, label.dtype.name) == ((), "int32")
    seen = set()
    for split in ("train", "validation", "test"):
        texts, labels = data.arrays(split)
        again, _ = data.arrays(split)
        assert list(texts) == list(again)
        numbers = [int(text.decode().split(",")[0].split()[1]) for text in texts]
        assert [number % 2 for number in numbers] == list(labels)
        if split != "test":
            assert not seen & set(numbers)
            seen |= set(numbers)
    assert seen == set(range(20))
    assert "naïve" in data.arrays("test")[0][0].decode()


@pytest.mark.parametrize(
    "features",
    [
        {"sentence": TEXT},
        {"sentence": TEXT, "other": TEXT, "label": LABEL},
        {"label": LABEL},
    ],
    ids=["no label", "two texts", "no text"],
)
def test_sets_of_another_kind_are_refused(features, tmp_path):
    write(tmp_path, features)
    with pytest.raises(ValueError, match=r"one text and one class label.*Received: name='made'"):
        text_classification("made", tmp_path)


def test_an_unknown_name_lists_what_is_there(tmp_path):
    write(tmp_path, {"sentence": TEXT, "label": LABEL})
    with pytest.raises(ValueError, match=r"holds: made\.(.|\n)*Did you mean 'made'"):
        text_classification("mad", tmp_path)


def test_an_unknown_split_is_refused(tmp_path):
    write(tmp_path, {"sentence": TEXT, "label": LABEL})
    with pytest.raises(ValueError, match=r"Received: split='dev'"):
        text_classification("made", tmp_path).arrays("dev")


@needs_data
@pytest.mark.parametrize(
    ("name", "classes", "sizes"),
    [("sst2_sentences", 2, (6_920, 872, 1_821)), ("trec6", 6, (4_907, 545, 500))],
)
def test_real_sets_are_read_from_the_folder(name, classes, sizes):
    data = text_classification(name, DATA_DIR)
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    texts, labels = data.arrays("test")
    assert set(labels) == set(range(classes))
    assert all(len(text) > 3 for text in texts)
