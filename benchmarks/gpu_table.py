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
from gpu_rows import LAYERS, ROWS, warmed
from gpu_step import on_processor, on_what, state_of, write_back

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
        self.forwards = {}
        folder.mkdir(parents=True, exist_ok=True)

    def fill(self, names, seeds, time_left, together=False):
        """Trains the teacher, then what is missing, while `time_left()` is true."""
        recipe = SMALL_TEACHER if self.small else TEACHER
        with on_processor():
            teacher = self.model(recipe, "teacher", seed=0)
        taught = Training(self, recipe, {"teacher": Job(lambda seed: (teacher, teacher))})
        if not taught.go_on(0, time_left):
            return
        layers = {name: teacher.get_layer(name).output for name in LAYERS}
        teacher = keras.Model(teacher.inputs, layers)
        shapes = {name: output.shape for name, output in layers.items()}
        jobs = {f"short-{name}" if self.short else name: self._job(name, shapes) for name in names}
        groups = [jobs] if together else [{name: job} for name, job in jobs.items()]
        trainings = [Training(self, self.recipe, group, teacher) for group in groups]
        for seed in seeds:
            for training in trainings:
                if not training.go_on(seed, time_left):
                    return

    def results(self):
        """Returns the figures of all trainings that ended."""
        return [json.loads(file.read_text()) for file in sorted(self.folder.glob("*.json"))]

    def accuracy(self, model, depth):
        """Returns the % of the test images that a model of this depth is right about."""

        def forward(state, x):
            return model.stateless_call(*state, x.astype("float32"), training=False)[0]

        run = self.forwards.setdefault(depth, jax.jit(forward))
        parts = model.trainable_variables, model.non_trainable_variables
        state = [[each.value for each in part] for part in parts]
        x, y = self.test
        answers = [run(state, x[at : at + 500]) for at in range(0, len(x), 500)]
        return 100.0 * float(np.mean(np.concatenate(answers).argmax(-1) == y))

    def model(self, recipe, name, seed):
        """Returns a ResNet with the weights of a seed."""
        keras.utils.set_random_seed(seed)
        shape = (self.size, self.size, 3)
        return resnet(shape, self.classes, depth=recipe.depth, name=name)

    def _job(self, name, shapes):
        row = ROWS[name]

        def make(seed):
            student = self.model(self.recipe, "student", seed)
            if row.arguments is None:
                return student, student
            arguments = row.arguments(len(self.labels), shapes)
            return keras_kd.Distiller(student, **arguments), student

        return Job(make, -(-row.warm_up * self.recipe.epochs // 240))


@dataclasses.dataclass(frozen=True)
class Job:
    """What a row trains: `make(seed)` gives the model and the part of it that is tested."""

    make: object
    warm_up: int = 0


class Training:
    """Rows trained side by side on the same batches.

    All seeds run through the program that the first one compiled. The teacher answers once for all
    rows, and what it says travels with each one's data.
    """

    def __init__(self, table, recipe, jobs, teacher=None):
        self.table, self.recipe, self.jobs = table, recipe, jobs
        self.steps = len(table.labels) // recipe.batch
        self.teacher, self.models, self.runs = teacher, {}, {}

    def go_on(self, seed, time_left):
        """Trains while there is time; returns whether all rows have ended."""
        names = [name for name in self.jobs if not self._has_ended(name, seed)]
        if not names:
            return True
        if not time_left():
            return False
        epoch, seconds, states = self._begun(names, seed)
        began, run = epoch, self._run(tuple(names))
        while epoch < self.recipe.epochs and time_left():
            start = time.perf_counter()
            key = jax.random.fold_in(jax.random.key(seed), epoch)
            states = {name: self._warmed(name, state, epoch) for name, state in states.items()}
            states, loss = run(
                states, self._teacher_state(), self.table.images, self.table.labels, key
            )
            loss = jax.device_get(loss)
            seconds, epoch = seconds + time.perf_counter() - start, epoch + 1
            if epoch % 10 == 0 or epoch <= 2:
                shown = ", ".join(f"{name} {value:.3f}" for name, value in loss.items())
                print(f"seed {seed}: {epoch} epochs, {seconds:.0f} s, loss {shown}", flush=True)
        finished = epoch == self.recipe.epochs
        if epoch > began:
            for name, state in jax.device_get(states).items():
                self._kept(name, seed).write_bytes(pickle.dumps((epoch, seconds, state)))
        for name in names if finished else []:
            self._end(name, seed, states[name], seconds, len(names))
        return finished

    def _kept(self, name, seed):
        return self.table.folder / f"{name}-{seed}.pickle"

    def _has_ended(self, name, seed):
        """Whether a row is done; the teacher's weights are read back where it is."""
        if not self._kept(name, seed).with_suffix(".json").exists():
            return False
        if name == "teacher":
            (model, _), _ = self._made(name, seed)
            write_back(model, pickle.loads(self._kept(name, seed).read_bytes())[2])
        return True

    def _begun(self, names, seed):
        """Returns the epochs, the seconds and the states that are kept, if all are as far."""
        states = {name: self._made(name, seed)[1] for name in names}
        files = [self._kept(name, seed) for name in names]
        kept = [pickle.loads(file.read_bytes()) for file in files if file.exists()]
        if len(kept) < len(names) or len({epoch for epoch, *_ in kept}) > 1:
            return 0, 0.0, jax.device_put(states, jax.devices()[0])
        states = {name: state for name, (_, _, state) in zip(names, kept, strict=True)}
        return *kept[0][:2], jax.device_put(states, jax.devices()[0])

    def _made(self, name, seed):
        """Returns the models that run a row and a seed's state; the first one's run them all."""
        rates = _rates(self.recipe, self.steps)
        with on_processor():
            model, trained = self.jobs[name].make(seed)
            optimizer = JoinedDecaySGD(rates, momentum=0.9, nesterov=self.recipe.nesterov)
            model.compile(optimizer, CROSS_ENTROPY)
            state = state_of(model)
        return self.models.setdefault(name, (model, trained)), state

    def _end(self, name, seed, state, seconds, rows):
        model, trained = self.models[name]
        write_back(model, state)
        test = self.table.accuracy(trained, self.recipe.depth)
        result = {"row": name, "seed": seed, "test": test, "seconds": round(seconds, 1)}
        print(result, flush=True)
        result |= {"rows": rows, "recipe": dataclasses.asdict(self.recipe), **on_what()}
        self._kept(name, seed).with_suffix(".json").write_text(json.dumps(result))
        if name != "teacher":
            self._kept(name, seed).unlink()

    def _warmed(self, name, state, epoch):
        """Returns the state with the weight that a feature loss has in an epoch of its warm-up."""
        if not self.jobs[name].warm_up:
            return state
        model, _ = self.models[name]
        term = model.feature_terms[0]
        weight = warmed(term.loss.weight, epoch, self.jobs[name].warm_up)
        place = [id(each) for each in model.non_trainable_variables].index(id(term.loss_weight))
        values = list(state[1])
        values[place] = jax.numpy.asarray(weight, term.loss_weight.dtype)
        return (state[0], values, *state[2:])

    def _teacher_state(self):
        if self.teacher is None:
            return ()
        parts = self.teacher.trainable_variables, self.teacher.non_trainable_variables
        return jax.device_put([[each.value for each in part] for part in parts], jax.devices()[0])

    def _run(self, names):
        """Returns a compiled epoch: states, teacher, images, labels and a key to states, loss."""
        if names in self.runs:
            return self.runs[names]
        steps, batch = self.steps, self.recipe.batch
        models = {name: self.models[name][0] for name in names}

        def step(states, at, teacher, images, labels):
            indices, key = at
            images, y = cropped(images[indices], key).astype("float32"), labels[indices]
            carried, found, losses = images, {}, {}
            if teacher:
                layers, _ = self.teacher.stateless_call(*teacher, images, training=False)
                carried = {"inputs": images, "index": indices, "teacher_features": layers}
                carried["teacher_outputs"] = layers["logits"]
            for name, model in models.items():
                x = carried if isinstance(model, keras_kd.Distiller) else images
                logs, found[name] = model.train_step(states[name], (x, y))
                losses[name] = logs["loss"]
            return found, losses

        def epoch(states, teacher, images, labels, key):
            order, places = jax.random.split(key)
            indices = jax.random.permutation(order, len(labels))[: steps * batch]
            data = indices.reshape(steps, batch), jax.random.split(places, steps)
            # Keras' metrics gather over a step of theirs only: the last value is the epoch's mean.
            states = {
                name: (*state[:3], [jax.numpy.zeros_like(each) for each in state[3]])
                for name, state in states.items()
            }
            states, losses = jax.lax.scan(
                lambda states, at: step(states, at, teacher, images, labels), states, data
            )
            return states, {name: loss[-1] for name, loss in losses.items()}

        return self.runs.setdefault(names, jax.jit(epoch, donate_argnums=0))


def _rates(recipe, steps):
    if recipe.drops:
        values = [recipe.rate * 0.1**drop for drop in range(len(recipe.drops) + 1)]
        boundaries = [epoch * steps for epoch in recipe.drops]
        return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
    total = recipe.epochs * steps
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - total // 20, warmup_target=recipe.rate, warmup_steps=total // 20
    )
