"""The training that several task scripts share."""

import keras


def fitted(model, batches, loss, *, epochs, learning_rate, **fit):
    """Trains with Adam and cosine decay, without XLA, and returns the model.

    Args:
        model: A model or a `keras_kd.Distiller`.
        batches: A finite, batched `tf.data.Dataset` of known length.
        loss: The labels' loss.
        epochs: How often it is gone through.
        learning_rate: Where the decay to 0 begins.
        **fit: More for `fit`, such as `class_weight`.
    """
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(batches.prefetch(2), epochs=epochs, verbose=0, **fit)
    return model
