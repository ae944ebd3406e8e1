"""Teachers of one task each as the teacher of a student of several outputs."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Self

import keras

from keras_kd.features.joined_inputs import JoinedInputsModel
from keras_kd.features.layer_tree import nearest
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.nested_config import check_unshared, uncompiled_configs, with_parts
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.shared_preprocessor import SharedPreprocessor, check_shared
from keras_kd.teachers.members import check_member
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class PerOutput(SharedPreprocessor, JoinedInputsModel):
    """A teacher for each of the student's outputs, in one pass over the batch.

    ```
    {"cls": t1, "boxes": t2}  ->  {"cls": t1(x), "boxes": t2(x)}
    ```

    It is a teacher like any other, live or through a `TeacherCache`. What each output holds, logits
    or probabilities, is found of each teacher by itself. An output that nobody teaches gets None:
    `Distiller(student, teacher, kd_loss={"cls": KDLoss(), "boxes": RegressionLoss(), "mask":
    None})`. It holds the very models that it is given, runs them in inference mode, and one that
    stands for several outputs once.

    Args:
        teachers: Built Keras models by the names of the student's outputs. Of a batch of inputs by
            name each takes its own; otherwise all take the same.
        choose: For a teacher of several outputs which of them it is, by the same names: the
            output's name, or its position. Other teachers need none.
        name: The model's name.

    Raises:
        TypeError, ValueError: If there is no teacher, a name is no string, a teacher is not built,
            gives several outputs of which none is chosen, or tasks have preprocessors of their
            own, or the inputs cannot be joined.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> def net(units, activation=None):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)])
    >>> teacher = keras_kd.teachers.PerOutput({"cls": net(3, "softmax"), "boxes": net(2)})
    >>> {name: tuple(value.shape) for name, value in teacher(np.ones((5, 4))).items()}
    {'boxes': (5, 2), 'cls': (5, 3)}
    """

    def __init__(
        self,
        teachers: Mapping[str, keras.Model],
        *,
        choose: Mapping[str, str | int] | None = None,
        name: str = "per_output",
    ) -> None:
        teachers = _check_teachers(teachers)
        super().__init__(
            name=name, dtype=next(iter(teachers.values())).dtype_policy, autocast=False
        )
        # One that stands for several outputs is held, saved and run once.
        self.models = list({id(model): model for model in teachers.values()}.values())
        specs = {
            id(model): inspect_model(model, input_spec_among(model, *self.models), {})
            for model in self.models
        }
        chosen = _check_chosen(choose, teachers)
        places = {
            output: (
                [id(held) for held in self.models].index(id(model)),
                _leaf(output, model, specs[id(model)].outputs, chosen),
            )
            for output, model in teachers.items()
        }
        # Where Keras does not look: it would turn the dict into one of its own.
        self._wiring = types.SimpleNamespace(places=places, choose=chosen)
        self.join_inputs(teachers)

    @property
    def preprocessed_models(self) -> list[keras.Model]:
        """The teachers."""
        return self.models

    @property
    def output_names(self) -> list[str]:
        """The outputs' names, in the order in which Keras flattens them."""
        return sorted(self._wiring.places)

    def call(self, inputs: Any) -> dict[str, Tensor]:
        """Returns what each teacher says, by the outputs' names."""
        given = [
            keras.tree.flatten(model(own_inputs(inputs, model), training=False))
            for model in self.models
        ]
        return {output: given[place][leaf] for output, (place, leaf) in self._wiring.places.items()}

    def get_config(self) -> dict[str, Any]:
        """Returns the models, and which of them stands for which output."""
        check_unshared(self.models)
        return {
            **uncompiled_configs({"models": list(self.models)}),
            "places": {output: place for output, (place, _) in self._wiring.places.items()},
            "choose": self._wiring.choose,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the teacher that `get_config` described."""
        config = with_parts(config, ["models"], custom_objects)
        models, places = config.pop("models"), config.pop("places")
        return cls({output: models[place] for output, place in places.items()}, **config)


def _check_teachers(teachers):
    if not isinstance(teachers, Mapping) or not teachers:
        raise TypeError(
            "`teachers` must be a dict of keras.Models by the names of the student's outputs, of "
            f"one at least. Received: teachers={teachers!r}"
        )
    for output, model in teachers.items():
        if not isinstance(output, str) or not output:
            raise TypeError(
                "`teachers` must name outputs of the student by strings. Received: "
                f"teachers with the key {output!r}"
            )
        check_member(f"teachers[{output!r}]", model)
    check_shared(teachers, "PerOutput")
    return dict(sorted(teachers.items()))  # as Keras flattens a dict, but not on PyTorch


def _check_chosen(choose, teachers):
    choose = {} if choose is None else choose
    if not isinstance(choose, Mapping):
        raise TypeError(
            "`choose` must be a dict that says which output of a teacher is meant, such as "
            f"{{{next(iter(teachers))!r}: 0}}. Received: choose={choose!r}"
        )
    for output in choose:
        if output not in teachers:
            raise ValueError(
                f"`choose` names what nobody teaches. Received: {output!r}."
                f"{nearest(output, teachers)} Available: {list(teachers)}"
            )
    return dict(choose)


def _leaf(output, model, outputs, chosen):
    """Returns where a teacher's output is among all that it gives, flattened."""
    paths = [path for path, _ in keras.tree.flatten_with_path(outputs)]
    if output not in chosen and len(paths) == 1:
        return 0
    names = getattr(model, "output_names", None) or []
    known: dict[Any, int] = {path[-1]: place for place, path in enumerate(paths) if path}
    if len(names) == len(paths):
        known |= {name: place for place, name in enumerate(names) if name not in known}
    known |= {place: place for place in range(len(paths)) if place not in known}
    wanted = chosen.get(output)
    if isinstance(wanted, bool) or wanted not in known:
        raise ValueError(
            "A teacher of several outputs teaches one of them: say which, PerOutput(teachers, "
            f"choose={{{output!r}: {next(iter(known), 0)!r}}}). Received: choose[{output!r}]="
            f"{wanted!r} of '{model.name}'.{nearest(wanted, known)} Available: {list(known)}"
        )
    return known[wanted]
