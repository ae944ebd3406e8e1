"""Trainings of RepDistiller's recipe on the device, each resumed where it was stopped.

SGD 0.05 with momentum 0.9 and a weight decay of 5e-4 that joins the gradient; batches of 64; 240
epochs with the rate x 0.1 after 150, 180 and 210; random crops of 32 of 40 pixels and mirror
images. Images, order, crops and steps stay on the device: an epoch is one program.
"""

import dataclasses
import json
import pickle
import time

import jax
import keras
import numpy as np
from gpu_images import cropped, with_border
from gpu_rows import ROWS, warmed
from gpu_step import on_what, state_of, write_back

import keras_kd
from keras_kd.models import resnet

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        depth: Of the ResNet.
        epochs: Passes over the images.
        batch: Examples of a step; what is left of an epoch is dropped.
        rate: Of SGD, at the start.
        drops: Epochs after which the rate falls to a tenth; empty for a cosine to 0 after a rise
            over the first twentieth.
        nesterov: Whether the momentum looks ahead.
    """

    depth: int
    epochs: int = 240
    batch: int = 64
    rate: float = 0.05
    drops: tuple = (150, 180, 210)
    nesterov: bool = False


# The teacher's own recipe is free: large batches take a quarter of the time.
TEACHER = Recipe(56, epochs=120, batch=256, rate=0.2, drops=(), nesterov=True)
STUDENT = Recipe(20)
# A quarter of the steps, an eighth of the epochs: a row in half a minute.
SHORT = Recipe(20, epochs=30, batch=256, rate=0.2, drops=(19, 23, 26))
SMALL_TEACHER = Recipe(8, epochs=2, batch=32, drops=())
SMALL_STUDENT = Recipe(8, epochs=3, batch=32, drops=(1, 2))


class JoinedDecaySGD(keras.optimizers.SGD):
    """SGD whose weight decay joins the gradient before the momentum, as PyTorch has it.

    Keras' own decay shrinks the weights beside the step. All weights decay, those of
    BatchNormalization too, as in the recipe.
    """

    def __init__(self, *args, joined_decay=5e-4, **kwargs):
        super().__init__(*args, **kwargs)
        self.joined_decay = joined_decay

    def update_step(self, gradient, variable, learning_rate):
        joined = gradient + self.joined_decay * variable
        super().update_step(joined, variable, learning_rate)


class Table:
    """Trains what is missing, while there is time."""

    def __init__(self, data, folder, small=False, short=False):
        (images, labels), self.test = data
        self.images, self.labels = jax.device_put((with_border(images), labels))
        self.folder, self.small, self.short = folder, small, short
        self.recipe = SMALL_STUDENT if small else SHORT if short else STUDENT
        self.size, self.classes = images.shape[1], int(labels.max()) + 1
        folder.mkdir(parents=True, exist_ok=True)

    def fill(self, names, seeds, until):
        """Trains the teacher, then what is missing, until a point of `time.monotonic`."""
        recipe = SMALL_TEACHER if self.small else TEACHER
        teacher = self._model(recipe, "teacher", seed=0)
        taught = Training(self, "teacher", recipe, lambda seed: (teacher, teacher))
        if not taught.go_on(0, until):
            return
        trainings = {name: self._row(name, teacher) for name in names}
        for seed in seeds:
            for training in trainings.values():
                if time.monotonic() >= until or not training.go_on(seed, until):
                    return

    def results(self):
        """Returns the figures of all trainings that ended."""
        return [json.loads(file.read_text()) for file in sorted(self.folder.glob("*.json"))]

    def accuracy(self, model):
        """Returns the % of the test images that a model is right about."""
        x, y = self.test
        answers = model.predict(x.astype("float32"), batch_size=500, verbose=0)
        return 100.0 * float(np.mean(answers.argmax(-1) == y))

    def _row(self, name, teacher):
        row = ROWS[name]

        def make(seed):
            student = self._model(self.recipe, "student", seed)
            if row.arguments is None:
                return student, student
            arguments = row.arguments(len(self.labels))
            return keras_kd.Distiller(student, teacher, **arguments), student

        kept_as = f"short-{name}" if self.short else name
        return Training(
            self, kept_as, self.recipe, make, -(-row.warm_up * self.recipe.epochs // 240)
        )

    def _model(self, recipe, name, seed):
        keras.utils.set_random_seed(seed)
        shape = (self.size, self.size, 3)
        return resnet(shape, self.classes, depth=recipe.depth, name=name)


class Training:
    """One row's trainings; all seeds run through the program that the first one compiled."""

    def __init__(self, table, name, recipe, make, warm_up=0):
        self.table, self.name, self.recipe = table, name, recipe
        self.make, self.warm_up = make, warm_up
        self.steps = len(table.labels) // recipe.batch
        self.model = self.trained = self.run = None

    def go_on(self, seed, until):
        """Trains while there is time; returns whether the training has ended."""
        ended = self.table.folder / f"{self.name}-{seed}.json"
        kept = ended.with_suffix(".pickle")
        if ended.exists() and not kept.exists():
            return True
        state, epoch, seconds, loss = self._start(seed), 0, 0.0, None
        if kept.exists():
            epoch, seconds, state = pickle.loads(kept.read_bytes())
            state = jax.device_put(state)
        while epoch < self.recipe.epochs and time.monotonic() < until:
            start = time.perf_counter()
            key = jax.random.fold_in(jax.random.key(seed), epoch)
            state = self._warmed(state, epoch)
            state, loss = self.run(state, self.table.images, self.table.labels, key)
            loss = float(loss)
            seconds, epoch = seconds + time.perf_counter() - start, epoch + 1
            if epoch % 10 == 0 or epoch <= 2:
                print(f"{self.name} {seed}: {epoch} epochs, {seconds:.0f} s, loss {loss:.3f}")
        finished = epoch == self.recipe.epochs
        if finished:
            write_back(self.model, state)
        if loss is not None:
            kept.write_bytes(pickle.dumps((epoch, seconds, jax.device_get(state))))
        if finished and not ended.exists():
            self._end(ended, seed, seconds, loss)
        if finished and self.name != "teacher":
            kept.unlink()
        return finished

    def _start(self, seed):
        """Returns a seed's state at the start; the first one's models run them all."""
        model, trained = self.make(seed)
        rates = _rates(self.recipe, self.steps)
        optimizer = JoinedDecaySGD(rates, momentum=0.9, nesterov=self.recipe.nesterov)
        model.compile(optimizer, CROSS_ENTROPY)
        state = state_of(model)
        if self.run is None:
            self.model, self.trained, self.run = model, trained, self._epoch(model)
        return state

    def _end(self, file, seed, seconds, loss):
        result = {"row": self.name, "seed": seed, "test": self.table.accuracy(self.trained)}
        result |= {"loss": loss, "seconds": round(seconds, 1)}
        print(result, flush=True)
        result |= {"recipe": dataclasses.asdict(self.recipe), **on_what()}
        file.write_text(json.dumps(result))

    def _warmed(self, state, epoch):
        if not self.warm_up:
            return state
        term = self.model.feature_terms[0]
        weight = warmed(term.loss.weight, epoch, self.warm_up)
        return _with_value(self.model, state, term.loss_weight, weight)

    def _epoch(self, model):
        """Returns a compiled epoch: a state, all images, labels and a key to state and loss."""
        steps, batch = self.steps, self.recipe.batch
        carries = isinstance(model, keras_kd.Distiller)

        def step(state, at, images, labels):
            indices, key = at
            x, y = cropped(images[indices], key).astype("float32"), labels[indices]
            x = {"inputs": x, "index": indices} if carries else x
            logs, state = model.train_step(state, (x, y))
            return state, logs["loss"]

        def epoch(state, images, labels, key):
            order, places = jax.random.split(key)
            indices = jax.random.permutation(order, len(labels))[: steps * batch]
            data = indices.reshape(steps, batch), jax.random.split(places, steps)
            # Keras' metrics gather over a step of theirs only: the last value is the epoch's mean.
            state = (*state[:3], [jax.numpy.zeros_like(each) for each in state[3]])
            state, loss = jax.lax.scan(lambda s, at: step(s, at, images, labels), state, data)
            return state, loss[-1]

        return jax.jit(epoch, donate_argnums=0)


def _rates(recipe, steps):
    if recipe.drops:
        values = [recipe.rate * 0.1**drop for drop in range(len(recipe.drops) + 1)]
        boundaries = [epoch * steps for epoch in recipe.drops]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    total = recipe.epochs * steps
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - total // 20, warmup_target=recipe.rate, warmup_steps=total // 20
    )


def _with_value(model, state, variable, value):
    """Returns the state with another value of one variable that does not train by gradient."""
    place = [id(each) for each in model.non_trainable_variables].index(id(variable))
    values = list(state[1])
    values[place] = jax.numpy.asarray(value, variable.dtype)
    return (state[0], values, *state[2:])
