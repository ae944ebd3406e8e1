"""What word taggers begin with."""

import keras


def embedded_words(sizes: dict[str, int], width: int, feature_width: int) -> tuple:
    """Embeds words and what else is known of them, side by side.

    Args:
        sizes: `{input: how many numbers it has}`, 0 being padding. The first input is the words.
        width: Size of a word's vector.
        feature_width: Size of the vector of each further input.

    Returns:
        The `keras.Input`s, `(words,)` each and named as in `sizes`, and a tensor
        `(batch, words, width + ...)` with Keras' mask.

    Raises:
        ValueError: If there is no input.
    """
    if not sizes:
        raise ValueError(
            "`sizes` must name the inputs and how many numbers each has, such as "
            f"{{'words': 5000}}. Received: sizes={sizes}"
        )
    inputs: list = []
    vectors: list = []
    for name, size in sizes.items():
        inputs.append(keras.Input((None,), dtype="int32", name=name))
        embedding = keras.layers.Embedding(
            size, feature_width if vectors else width, mask_zero=True, name=f"{name}_embedding"
        )
        vectors.append(embedding(inputs[-1]))
    x = keras.layers.Concatenate(name="embedding")(vectors) if len(vectors) > 1 else vectors[0]
    return inputs, x
