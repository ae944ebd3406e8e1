"""Students that one step trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras

from keras_kd.features.joined_inputs import JoinedInputsModel
from keras_kd.features.model_spec import input_spec_among, inspect_model
from keras_kd.features.nested_config import check_unshared, uncompiled_configs, with_parts
from keras_kd.features.own_inputs import own_inputs
from keras_kd.features.shared_preprocessor import SharedPreprocessor, check_shared
from keras_kd.teachers.members import check_member, check_one_output
from keras_kd.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class SeveralStudents(SharedPreprocessor, JoinedInputsModel):
    """Students of one sweep as one student of several outputs: one pass over the data trains all.

    ```
    [small, large]  ->  {"small": small(x), "large": large(x)}
    ```

    A `Distiller` trains it like any student with named outputs. Labels and the teacher's answers
    stand there once for each of them, which `for_each` does to a batch. The settings that differ
    go in dicts by the students' names: `kd_loss={"small": KDLoss(2.0), "large": KDLoss(8.0)}`, and
    metrics, `{"small": ["accuracy"], "large": ["accuracy"]}`; one loss in `compile` serves all.
    Feature losses name a student's layer by its path, `layers={"small/stage2": "stage2"}`. `alpha`,
    the optimizer, the batches and their number are the same for all. The loss is the sum of what
    each would minimize alone, and no weight belongs to two of them, so that optimizers that treat
    every weight by itself (SGD, Adam) do what one for each student would; clipping by
    `global_clipnorm` does not.

    The students are trained in place, and each leaves as the model it came as. A live teacher is
    `teachers.PerOutput({"small": teacher, "large": teacher})`, which is run once; with a
    `TeacherCache` none is.

    Args:
        students: Built `keras.Model`s of one output each, on the same inputs; of inputs by name
            each takes its own. Their names must differ: they are the outputs' names.
        name: The model's name.

    Attributes:
        students: The models.

    Raises:
        TypeError, ValueError: If there is no student, one is not built, has several outputs or
            shares its name, or their inputs cannot be joined.

    Example:

    >>> import keras, keras_kd, numpy as np
    >>> from keras_kd.losses import KDLoss
    >>> def net(name):
    ...     return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name=name)
    >>> both = keras_kd.scale.SeveralStudents([net("cool"), net("warm")])
    >>> x, y = {"inputs": np.ones((8, 4)), "teacher_outputs": np.ones((8, 3))}, np.zeros(8)
    >>> distiller = keras_kd.Distiller(both, kd_loss={"cool": KDLoss(1.0), "warm": KDLoss(4.0)})
    >>> distiller.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> history = distiller.fit(*both.for_each(x, y), verbose=0)
    >>> sorted(history.history)
    ['cool_loss', 'kd_loss', 'loss', 'student_loss', 'warm_loss']
    >>> cool, warm = both.students
    """

    def __init__(self, students: Sequence[keras.Model], *, name: str = "several_students") -> None:
        held = _check_students(students)
        super().__init__(name=name, dtype=held[0].dtype_policy, autocast=False)
        for place, student in enumerate(held):
            spec = inspect_model(student, input_spec_among(student, *held), {})
            check_one_output(f"students[{place}]='{student.name}'", spec)
        self.students: list[keras.Model] = held
        self.join_inputs(self._by_name)

    @property
    def _by_name(self):
        return {student.name: student for student in self.students}

    @property
    def preprocessed_models(self) -> list[keras.Model]:
        """The students."""
        return self.students

    @property
    def output_names(self) -> list[str]:
        """The students' names, in the order in which Keras flattens a dict of them."""
        return sorted(self._by_name)

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Tensor]:
        """Returns each student's output by its name."""
        return {
            name: student(own_inputs(inputs, student), training=training)
            for name, student in sorted(self._by_name.items())
        }

    def for_each(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Returns examples in which labels and answers stand for each student, by its name.

        A `tf.data.Dataset` takes it as `dataset.map(several.for_each)`, batched or not; arrays,
        and batches of a generator, go through it as they are.

        Args:
            x: Inputs; of those with a teacher's `"teacher_outputs"` beside them, as
                `TeacherCache` gives them, these are taken for each student.
            y: Labels, or None.
            sample_weight: Weights, or None.

        Returns:
            `x`, `(x, y)` or `(x, y, sample_weight)`, as many as were given.
        """
        if isinstance(x, Mapping) and "teacher_outputs" in x:
            x = {**x, "teacher_outputs": self._each(x["teacher_outputs"])}
        parts = [x, self._each(y), self._each(sample_weight)]
        return keras.utils.pack_x_y_sample_weight(*parts)

    def _each(self, value):
        return None if value is None else dict.fromkeys(self.output_names, value)

    def get_config(self) -> dict[str, Any]:
        """Returns the students."""
        check_unshared(self.students)
        return {**uncompiled_configs({"students": list(self.students)}), "name": self.name}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the model that `get_config` described."""
        return cls(**with_parts(config, ["students"], custom_objects))


def _check_students(students):
    if not isinstance(students, list | tuple) or not students:
        raise TypeError(
            "`students` must be a list of keras.Models, of one at least. Received: "
            f"students={students!r}"
        )
    for place, student in enumerate(students):
        check_member(f"students[{place}]", student)
    names = [student.name for student in students]
    if len(set(names)) < len(names):
        raise ValueError(
            "The students are told apart by their names, which must differ: give each a `name`. "
            f"Received: {names}"
        )
    check_shared(dict(zip(names, students, strict=True)), "SeveralStudents")
    return list(students)
