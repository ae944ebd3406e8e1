"""A model whose teacher may follow its student."""

from __future__ import annotations

from typing import Any

import keras


def follows(teacher: Any) -> bool:
    """Whether a teacher, or None, moves after its student."""
    methods = (getattr(teacher, name, None) for name in ("follow", "check_follows"))
    return all(callable(method) for method in methods)


class FollowedModel(keras.Model):
    """A model of a `student` and a `teacher`, who moves after each training step if it wants to.

    A teacher that wants to has two methods: `follow(student)`, which assigns to its own variables
    and runs inside the compiled step, after the optimizer's update, and `check_follows(student)`,
    which raises where it is no teacher of that student.
    """

    def check_follower(self) -> None:
        """Raises if the teacher follows another student, or a copy of it would be run."""
        if not follows(self.teacher):
            return
        self.teacher.check_follows(self.student)
        if self.teacher_dtype is not None:
            raise ValueError(
                "`teacher_dtype` runs a copy of the teacher, which would not follow the student: "
                f"leave it None. Received: teacher_dtype={self.teacher_dtype!r}, teacher "
                f"'{self.teacher.name}' of class {type(self.teacher).__name__}"
            )

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' training step, and the teacher's after it."""
        result = super().train_step(*args, **kwargs)
        if not follows(self.teacher):
            return result
        if keras.backend.backend() != "jax":
            self.teacher.follow(self.student)
            return result
        logs, (trainable, non_trainable, *others) = result
        ours = self.non_trainable_variables
        mapping = [
            *zip(self.trainable_variables, trainable, strict=True),
            *zip(ours, non_trainable, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            self.teacher.follow(self.student)
        return logs, (trainable, [scope.get_current_value(each) for each in ours], *others)
