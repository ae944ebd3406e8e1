"""A Distiller with several teachers, each with a term of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras

from keras_kd.distiller import Distiller
from keras_kd.distiller.late_variables import join_training
from keras_kd.distiller.output_term import output_terms
from keras_kd.features.joined_inputs import JoinedInputsModel
from keras_kd.features.nested_config import uncompiled_configs, with_parts
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.shared_preprocessor import SharedPreprocessor, check_shared
from keras_kd.losses import DistillationLoss, KDLoss


@keras.saving.register_keras_serializable(package="keras_kd")
class SideBySide(SharedPreprocessor, JoinedInputsModel):
    """Answers what each of its models answers, as a list; like a teacher it is not trained."""

    def __init__(self, models: Sequence[keras.Model], name: str = "side_by_side") -> None:
        names = {f"models[{at}]": model for at, model in enumerate(models)}
        check_shared(names, "A chain with densely=True")
        super().__init__(name=name, dtype=models[0].dtype_policy, autocast=False)
        self.models = list(models)
        self.join_inputs(names)

    @property
    def preprocessed_models(self) -> list[keras.Model]:
        """The models."""
        return self.models

    def call(self, inputs: Any) -> list[Any]:
        """Returns the models' outputs."""
        return [model(own_inputs(inputs, model), training=False) for model in self.models]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**uncompiled_configs({"models": list(self.models)}), "name": self.name}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the model that `get_config` described."""
        return cls(**with_parts(config, ["models"], custom_objects))


@keras.saving.register_keras_serializable(package="keras_kd")
class DenseDistiller(Distiller):
    """A Distiller whose KD term is the mean of one term for each teacher.

    ```
    kd_loss = 1/n sum_i D(teacher_i, student)
    ```

    In `term_weights` each term is `kd_loss_` and its teacher's name.

    An `Ensemble` would average what the teachers say and compare once, which is another gradient at
    any temperature but 1.

    Args:
        student: The student, of one output.
        teachers: At least one model, of one output each; or their names, where what they say
            travels with the data as a list.
        kd_loss: `D`, a loss on outputs.
        **settings: As in `Distiller`.

    Raises:
        ValueError, TypeError: If a model has several outputs, or `kd_loss` is no single loss.
    """

    def __init__(
        self,
        student: keras.Model,
        teachers: Sequence[keras.Model | str],
        *,
        kd_loss: DistillationLoss = KDLoss(),  # noqa: B008
        **settings: Any,
    ) -> None:
        if not isinstance(kd_loss, DistillationLoss):
            raise TypeError(
                "Several teachers need one loss on outputs that each of them teaches by. "
                f"Received: kd_loss={kd_loss!r}"
            )
        models = [each for each in teachers if not isinstance(each, str)]
        for model in (student, *models):
            outputs = len(keras.tree.flatten(getattr(model, "outputs", None) or [None]))
            if outputs > 1:
                raise ValueError(
                    "Several teachers can teach models of one output. Received: "
                    f"'{model.name}' with {outputs} outputs"
                )
        losses = [_share(kd_loss, number, len(teachers)) for number in range(len(teachers))]
        teacher = SideBySide(models) if models else None
        super().__init__(student, teacher, kd_loss=losses[0], **settings)
        running = self._untracked.running
        specs = self._inspect(student), running and self._inspect(running)
        for loss in losses[1:]:
            (term,) = output_terms(loss, student, specs[0], self.teacher, specs[1])
            self.output_terms.append(term)
        self._names = [each if isinstance(each, str) else each.name for each in teachers]
        for term, name in zip(self.output_terms, self._names, strict=True):
            term.name = f"kd_loss_{name}"
        self._untracked.kd_loss = kd_loss
        join_training(self)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, alpha and temperature as they are now."""
        config = super().get_config()
        if config.pop("teacher") is None:
            return {**config, "teachers": list(self._names)}
        teachers = list(self._untracked.teacher.models)
        return config | uncompiled_configs({"student": self.student, "teachers": teachers})

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the Distiller that `get_config` described."""
        parts = ["student", "teachers"]
        return super().from_config(with_parts(config, parts, custom_objects), custom_objects)


def _share(loss, number, teachers):
    """A loss that listens to one of several teachers and counts as their share."""
    config = {**loss.get_config(), "teacher_output": number, "weight": loss.weight / teachers}
    return type(loss).from_config(config)
