"""One term of the Distiller's equation."""

import keras


class LossTerm(keras.layers.Layer):
    """A loss with its weights, variables that callbacks change while training runs.

    Args:
        loss: A `keras_kd.losses.DistillationLoss`.
        name: The term's name in the logs and for `LossWeightScheduler`.
    """

    def __init__(self, loss, name):
        super().__init__(name=name, dtype="float32", autocast=False)
        loss.hold()
        self.loss = loss
        self.loss_weight = add_scalar(self, "loss_weight", loss.weight)
        self.stages = {stage: add_scalar(self, stage, 1.0) for stage in loss.stages}
        self.built = True

    @property
    def weights_by_name(self):
        """The weight of the loss and those of its stages, variables by name."""
        stages = {f"{self.name}/{stage}": weight for stage, weight in self.stages.items()}
        return {self.name: self.loss_weight, **stages}


def add_scalar(layer, name, value, dtype="float32"):
    """Gives a layer a variable that training leaves alone and callbacks change."""
    return layer.add_weight(
        shape=(),
        initializer=keras.initializers.Constant(value),
        dtype=dtype,
        trainable=False,
        autocast=False,
        aggregation="only_first_replica",
        name=name,
    )
