"""A Distiller with one loss or many, and what a `fit` of it shows of each."""

import keras
import numpy as np
from models_for_tests import cross_entropy
from nets_for_losses import CLASSES, NETS, digits

from keras_kd import Distiller


def models(cases):
    """A student and its teacher: nets that layers are read of, and a head for each other loss.

    Args:
        cases: `{name: LossContract}`, of the same nets.
    """
    (nets,) = {case.nets for case in cases.values()}
    student, teacher = (make() for make in NETS[nets])
    heads = [name for name, case in cases.items() if case.is_on_outputs]
    if not heads:
        return student, teacher
    pixels = keras.layers.Flatten()(student.input)
    outputs = {name: keras.layers.Dense(CLASSES, name=name)(pixels) for name in heads}
    student = keras.Model(student.input, {"logits": student.output, **outputs})
    return student, keras.Model(teacher.input, dict.fromkeys(["logits", *heads], teacher.output))


def distiller(cases, **kwargs):
    """A Distiller with the losses of `cases`, each under its name there."""
    on_outputs, inside = {}, []
    student, teacher = models(cases)
    for name, case in cases.items():
        if case.is_on_outputs:
            on_outputs[name] = case.loss()
        else:
            inside.append(case.loss(name=name, layers=case.layers, **kwargs))
    keras.utils.set_random_seed(0)
    return Distiller(student, teacher, alpha=0.0, kd_loss=on_outputs or None, feature_losses=inside)


def data(model, count=96):
    """Images with each one's number, and labels, for every output if there are several."""
    x, y = digits(count)
    names = list(model.student.output) if isinstance(model.student.output, dict) else []
    return {"inputs": x, "index": np.arange(count)}, dict.fromkeys(names, y) or y


def fitted(cases, jit_compile, epochs=30):
    """Fits a Distiller with the losses of `cases`.

    Args:
        cases: `{name: LossContract}`, of the same nets.
        jit_compile: Whether XLA compiles the step.
        epochs: Of three steps each, of which the first weighs the losses.

    Returns:
        The Distiller, and by name what is left of each distance: 1 where `fit` changed nothing.
    """
    model = distiller(cases, weight=0.0)
    x, y = data(model)
    before = model.student(x["inputs"], training=False)
    # Adam's operations for each variable would take TensorFlow twice as long to trace as the rest.
    loss = {"logits": cross_entropy()} if isinstance(y, dict) else cross_entropy()
    model.compile(keras.optimizers.SGD(0.02), loss, jit_compile=jit_compile)
    fit = {"batch_size": 32, "epochs": epochs, "verbose": 0}
    history = model.fit(x, y, callbacks=[_Balance(cases)], **fit).history
    assert np.isfinite(history["loss"]).all()
    after, teacher = (net(x["inputs"], training=False) for net in (model.student, model.teacher))
    left = {}
    for name, case in cases.items():
        if case.is_on_outputs:
            first, last = (case.distance(teacher[name], z[name], y[name]) for z in (before, after))
        else:
            first, last = history[name][0], history[name][-1]
        left[name] = last / first
    return model, left


class _Balance(keras.callbacks.Callback):
    """After an epoch at weight 0, weighs each feature loss so that none drowns the others."""

    def __init__(self, cases):
        super().__init__()
        self.cases = cases

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            for term in self.model.feature_terms:
                term.loss_weight.assign(self.cases[term.name].pull / logs[term.name])
