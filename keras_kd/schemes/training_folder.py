"""The folder in which a sequence of trainings is kept."""

import json
import re
import shutil

import keras
from keras import ops

from keras_kd.aside import save_aside
from keras_kd.checks import local_path
from keras_kd.distiller.followed_model import follows
from keras_kd.features.model_digest import model_digest
from keras_kd.losses.distillation_loss import snake_case

_FILE = "sequence.json"


class TrainingFolder:
    """What is finished of a sequence, and the last whole epoch of what is not.

    ```
    sequence.json          what the folder belongs to, and a seed
    1_assistant.weights.h5 a finished training's model
    1_assistant.json       its epochs; written last
    2_student.unfinished/  a running training's epochs, and Keras' backup
    ```

    Args:
        folder: Where it is; nothing is written yet.
        scheme: The scheme's name.
        trainings: The trainings.

    Raises:
        ValueError: If the folder belongs to another sequence.
    """

    def __init__(self, folder, scheme, trainings):
        self.folder = local_path("folder", folder)
        self._trainings = trainings
        known = [{"name": _known_as(each), **each.settings} for each in trainings]
        self._content = {"scheme": scheme, "trainings": known}
        file = self.folder / _FILE
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            found.pop("seed", None)
            _compare(found, _as_read(self._content), self.folder)

    def begin(self, seed):
        """Makes the folder this sequence's; returns the seed that it has noted, at first `seed`."""
        file = self.folder / _FILE
        if file.exists():
            return json.loads(file.read_text(encoding="utf-8"))["seed"]
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(file, {**self._content, "seed": seed})
        return seed

    def load(self, number):
        """Returns a finished training's epochs and gives its model its weights, or None."""
        file = self._path(number, ".json")
        if not file.exists():
            return None
        found = json.loads(file.read_text(encoding="utf-8"))
        model = self._trainings[number].model
        # Weights are wanted, not the state of an optimizer that a model may have had on that day.
        skipped = [each for each in [getattr(model, "optimizer", None)] if each is not None]
        model.load_weights(self._path(number, ".weights.h5"), objects_to_skip=skipped)
        for state, value in zip(_random_states(model), found["random_states"], strict=True):
            state.assign(value)
        return found["epochs"]

    def save(self, number, epochs):
        """Keeps a training that is finished."""
        model = self._trainings[number].model
        save_aside(model.save_weights, self._path(number, ".weights.h5"))
        states = [ops.convert_to_numpy(state).tolist() for state in _random_states(model)]
        _write(self._path(number, ".json"), {"epochs": epochs, "random_states": states})
        shutil.rmtree(self._path(number, ".unfinished"))

    def unfinished(self, number):
        """Returns the epochs of a training that was stopped, and a function that keeps them."""
        file = self._path(number, ".unfinished") / "epochs.json"
        epochs = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        file.parent.mkdir(exist_ok=True)
        return epochs, lambda now: _write(file, now)

    def backup(self, number):
        """Returns the callback that goes on at a training's last whole epoch."""
        # What it holds is still needed when `fit` has ended: until the weights are written.
        return keras.callbacks.BackupAndRestore(
            self._path(number, ".unfinished") / "backup",
            double_checkpoint=True,
            delete_checkpoint=False,
        )

    def _path(self, number, suffix):
        name = re.sub(r"[^\w.+-]", "_", _known_as(self._trainings[number]))
        return self.folder / f"{number + 1}_{name}{suffix}"


def known_teacher(folder, teacher):
    """Returns what a folder knows a teacher by; None if there is no folder or no teacher.

    Raises:
        ValueError: If the teacher follows the student: it trains, too, and a folder keeps the
            trained model alone, so that the next training would begin with another teacher.
    """
    if folder is None or teacher is None:
        return None
    if follows(teacher):
        raise ValueError(
            "A `folder` keeps the student and not a teacher that moves after it, which would begin "
            "again as it is now when the trainings go on: take folder=None, or a teacher that "
            f"stays. Received: teacher '{teacher.name}' of class {type(teacher).__name__}, "
            f"folder='{folder}'"
        )
    return model_digest(teacher)


def _known_as(training):
    """A training's name; without the number, if it is one that Keras has given to its model."""
    automatic = snake_case(type(training.model).__name__)
    is_automatic = re.fullmatch(rf"{automatic}(_\d+)?", training.name)
    return automatic if is_automatic else training.name


def _random_states(model):
    """The states of a model's random generators, such as dropout's, which Keras does not save."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _write(file, content):
    save_aside(lambda path: path.write_text(json.dumps(content), encoding="utf-8"), file)


def _as_read(content):
    return json.loads(json.dumps(content))


def _compare(found, wanted, folder):
    """Raises a ValueError that names what a folder's sequence has otherwise."""
    if found == wanted:
        return
    advice = f"The folder '{folder}' belongs to another sequence of trainings: take another folder."
    if found.get("scheme") != wanted["scheme"]:
        raise ValueError(f"{advice} Received: {wanted['scheme']}, kept: {found.get('scheme')}")
    names = [[each["name"] for each in content["trainings"]] for content in (wanted, found)]
    if names[0] != names[1]:
        raise ValueError(f"{advice} Received: trainings {names[0]}, kept: {names[1]}")
    for now, before in zip(wanted["trainings"], found["trainings"], strict=True):
        for key in sorted({*now, *before}):
            if now.get(key) != before.get(key):
                raise ValueError(
                    f"{advice} Received: {key}={now.get(key)!r} of '{now['name']}', "
                    f"kept: {before.get(key)!r}"
                )
