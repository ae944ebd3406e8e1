"""One term of the Distiller's equation."""

import keras


class LossTerm(keras.layers.Layer):
    """A loss with its weight, a variable that callbacks change while training runs.

    Args:
        loss: A `keras_kd.losses.DistillationLoss`.
        name: The term's name in the logs and for `LossWeightScheduler`.
    """

    def __init__(self, loss, name):
        super().__init__(name=name, dtype="float32", autocast=False)
        self.loss = loss
        self.loss_weight = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(loss.weight),
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name="loss_weight",
        )
        self.built = True
