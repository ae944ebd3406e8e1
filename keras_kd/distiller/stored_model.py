"""How a Distiller is written to files, and its student leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import keras
from keras import ops

from keras_kd.aside import save_safely
from keras_kd.distiller.argument_checks import check_unshared
from keras_kd.distiller.bare_teacher import BareTeacher, check_keeps_teacher
from keras_kd.distiller.resumable_model import ResumableModel
from keras_kd.features.nested_config import uncompiled_configs, with_parts


class StoredModel(ResumableModel):
    """A model of a `student` and a teacher whose files hold both, whole or not at all."""

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, alpha and temperature as they are now."""
        check_unshared(self.student, self.teacher)
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            **uncompiled_configs({"student": self.student, "teacher": self.teacher}),
            "alpha": float(ops.convert_to_numpy(self.alpha)),
            "temperature": float(ops.convert_to_numpy(self.temperature)),
            "kd_loss": serialize(self._untracked.kd_loss),
            "feature_losses": [serialize(loss) for loss in self._feature_losses()],
            "teacher_dtype": self.teacher_dtype,
            "validate_with_teacher": self.validate_with_teacher,
            "sample_weight_on": self.sample_weight_on,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Makes the Distiller that `get_config` described."""
        parts = ("student", "teacher", "kd_loss", "feature_losses")
        made = cls(**with_parts(config, parts, custom_objects))
        made._untracked.bare = BareTeacher(made.teacher)
        return made

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Keras' `save`; a name that ends in .keras keeps the teacher too.

        A file that is there already stays until the new one is whole.
        """
        check_keeps_teacher(filepath)
        save_safely(super().save, filepath, *args, **kwargs)

    def save_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Keras' `save_weights`, the teacher's too; as for `save`, a file stays until then."""
        save_safely(super().save_weights, filepath, *args, **kwargs)

    def load_own_variables(self, store: Any) -> None:
        """Keras' `load_own_variables`, which comes with the teacher's weights."""
        super().load_own_variables(store)
        self._untracked.bare = None

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """Exports the student, as `distiller.student.export` does; see also `export_student`."""
        return self.student.export(filepath, *args, **kwargs)
