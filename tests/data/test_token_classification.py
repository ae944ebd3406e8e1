import os

import pytest

from keras_kd.data import token_classification

DATA_DIR = os.environ.get("KERAS_KD_DATA_DIR")
needs_data = pytest.mark.skipif(
    not DATA_DIR, reason="KERAS_KD_DATA_DIR does not say where the TFDS data sets are"
)


@needs_data
def test_words_and_tags_come_in_three_splits():
    data = token_classification("wnut17", DATA_DIR)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [3394, 1009, 1287]
    assert data.num_tags == 13
    assert data.tag_names[0] == "O"
    words, tags = data.train[0]
    assert all(isinstance(word, str) for word in words)
    # BIO: what is inside an entity follows its beginning or what is inside it
    for _, tags in data.train + data.test:
        names = [data.tag_names[tag] for tag in tags]
        for before, name in zip(["O", *names], names, strict=False):
            assert name[:2] != "I-" or before[2:] == name[2:]


@needs_data
def test_a_set_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"A set of tagged words.*name='trec6'"):
        token_classification("trec6", DATA_DIR)
