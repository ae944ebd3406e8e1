"""What models have in common that train several models at once."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_kd.aside import save_safely
from keras_kd.distiller.loss_sum import as_term
from keras_kd.distiller.raw_data_model import RawDataModel
from keras_kd.distiller.resumable_model import ResumableModel
from keras_kd.distiller.taking_turns import TurnTakingModel
from keras_kd.features.shared_preprocessor import SharedPreprocessor
from keras_kd.losses.formula.given_values import replica_share
from keras_kd.typing import Tensor


class SeveralModels(SharedPreprocessor, RawDataModel, TurnTakingModel, ResumableModel):
    """A model that trains the models it holds, and can be saved and go on.

    Its doors take what KerasHub's tasks take, where all of the models share one preprocessor.
    """

    teacher = None

    @property
    def data_are_for(self) -> keras.Model:
        """Any of the models, since they share what makes raw data theirs."""
        return self.preprocessed_models[0]

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as before the model was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def zero_grad(self, *args: Any, **kwargs: Any) -> None:
        """PyTorch's `zero_grad`, of all variables.

        Keras lists them by their paths, which two learners of one architecture have alike: what is
        not in the list would add up its gradients from step to step.
        """
        super().zero_grad(*args, **kwargs)
        for variable in self.trainable_variables:
            variable.value.grad = None

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Keras' `save`; a file that is there already stays until the new one is whole."""
        save_safely(super().save, filepath, *args, **kwargs)

    def save_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Keras' `save_weights`; as for `save`, a file stays until then."""
        save_safely(super().save_weights, filepath, *args, **kwargs)

    def _unpack(self, x):
        return {"inputs": x}

    def add_log(self, name: str) -> keras.metrics.Metric:
        """Makes the mean over an epoch that the logs show under `name`."""
        return keras.metrics.Mean(name=name, dtype="float32")

    def log(self, tracker: keras.metrics.Metric, value: Tensor, outputs: Tensor) -> None:
        """Adds a batch's value to the epoch's mean, as it is without scaling over replicas."""
        value = value / as_term(replica_share())
        tracker.update_state(value, sample_weight=ops.shape(outputs)[0])
