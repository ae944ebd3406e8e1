"""A text set as word ids, for the benchmarks whose nets read words."""

import keras
import numpy as np
import tensorflow as tf

from keras_kd.data import text_classification


def word_ids(name, data_dir, words, length):
    """Returns `{split: (ids, labels)}`, the size of the vocabulary and the number of classes.

    Args:
        name: The TFDS name of the set.
        data_dir: The folder TFDS keeps it in.
        words: How many words of the training split are kept, at most.
        length: Words of an example; longer ones are cut, shorter ones padded with 0.
    """
    data = text_classification(name, data_dir)
    splits = {split: data.arrays(split) for split in ("train", "validation", "test")}
    ids = keras.layers.TextVectorization(words, output_sequence_length=length)
    ids.adapt(splits["train"][0])
    splits = {
        split: (np.asarray(ids(tf.constant(texts))).astype("int32"), labels)
        for split, (texts, labels) in splits.items()
    }
    return splits, ids.vocabulary_size(), data.num_classes
