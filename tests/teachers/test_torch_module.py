"""A `torch.nn.Module` as a live teacher."""

import copy

import keras
import numpy as np
import pytest
from models_for_tests import assert_same_weights, distiller, examples, net

from keras_kd import Distiller
from keras_kd.losses import FitNetLoss, GradientLoss, KDLoss

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="modules are PyTorch's"),
]

X, Y = examples(24)


@pytest.fixture
def module():
    """BatchNorm and Dropout make training and inference differ; one layer is frozen."""
    import torch

    torch.manual_seed(0)
    first, last = torch.nn.Linear(4, 6), torch.nn.Linear(6, 3)
    norm = torch.nn.BatchNorm1d(6)
    norm.running_mean.copy_(torch.arange(6.0) / 5.0)
    norm.running_var.copy_(1.0 + torch.arange(6.0))
    last.bias.requires_grad_(False)
    return torch.nn.Sequential(first, torch.nn.Tanh(), norm, torch.nn.Dropout(0.5), last)


def wrapped(module):
    layer = keras.layers.TorchModuleWrapper(module, name="module")
    return keras.Sequential([keras.Input((4,)), layer])


def copied(module):
    """The same net of Keras' layers, with the module's weights."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, "tanh"),
            keras.layers.BatchNormalization(epsilon=module[2].eps),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, name="module"),
        ]
    )
    norm = [module[2].weight, module[2].bias, module[2].running_mean, module[2].running_var]
    weights = [module[0].weight.T, module[0].bias, *norm, module[4].weight.T, module[4].bias]
    model.set_weights([keras.ops.convert_to_numpy(weight) for weight in weights])
    return model


def state(module):
    """All that a module has: numbers, what is frozen, gradients, and the mode of each part."""
    numbers = {name: value.clone() for name, value in module.state_dict().items()}
    frozen = {name: each.requires_grad for name, each in module.named_parameters()}
    gradients = {name: each.grad for name, each in module.named_parameters()}
    return numbers, frozen, gradients, [each.training for each in module.modules()]


def assert_unchanged(module, before):
    numbers, *others = state(module)
    for name, value in before[0].items():
        np.testing.assert_array_equal(numbers[name], value, err_msg=name)
    assert others == list(before[1:])


def taught_by(teacher, **kwargs):
    model = distiller(net(5, seed=7), teacher, alpha=0.2, **kwargs)
    history = model.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    return model, history


@pytest.mark.parametrize("training", [True, False], ids=["in training mode", "in inference mode"])
def test_it_teaches_what_the_same_net_of_keras_layers_teaches(module, training):
    module.train(training)
    module[3].train()  # a part may be in another mode than the whole
    before = state(module)
    loss = KDLoss(teacher_from_logits=True)
    model, history = taught_by(wrapped(module), kd_loss=loss)
    expected, expected_history = taught_by(copied(module), kd_loss=loss)
    assert history["kd_loss"] == pytest.approx(expected_history["kd_loss"], rel=1e-5)
    assert history["kd_loss"][-1] < history["kd_loss"][0]
    assert_same_weights(model.student, expected.student)
    assert_unchanged(module, before)


def test_feature_losses_and_gradients_to_inputs_read_it(module):
    before = state(module)
    losses = [FitNetLoss(layers={"scores": "module"}, weight=0.1), GradientLoss(weight=0.1)]
    own = {"kd_loss": None, "feature_losses": losses}
    model, history = taught_by(wrapped(module), **own)
    expected, expected_history = taught_by(copied(module), **own)
    for name in ("fit_net_loss", "gradient_loss"):
        assert history[name] == pytest.approx(expected_history[name], rel=1e-4)
    assert_same_weights(model.student, expected.student, atol=1e-5)
    assert_unchanged(module, before)


def test_the_student_is_saved_and_the_distiller_resumed(module, tmp_path):
    model, _ = taught_by(wrapped(module), kd_loss=KDLoss(teacher_from_logits=True))
    model.student.save(tmp_path / "student.keras")
    student = keras.models.load_model(tmp_path / "student.keras")
    assert_same_weights(student, model.student, atol=0)
    model.save(tmp_path / "distiller.keras")
    with pytest.raises(ValueError, match="safe_mode=False"):  # Keras' word: a module is code
        keras.models.load_model(tmp_path / "distiller.keras")
    again = keras.models.load_model(tmp_path / "distiller.keras", safe_mode=False)
    for each in (model, again):
        each.fit(X, Y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    assert_same_weights(again.student, model.student, atol=0)


def test_its_pass_keeps_no_graph(module):
    import torch

    kept = []
    student = net(5, seed=7)
    model = distiller(student, wrapped(module), alpha=0.0, kd_loss=KDLoss(teacher_from_logits=True))
    module.register_forward_hook(lambda _, __, answer: kept.append(answer.grad_fn))
    model.fit(X, batch_size=24, verbose=0)
    assert kept == [None]
    assert torch.is_grad_enabled()


def test_a_bare_module_is_told_the_way_in(module):
    with pytest.raises(TypeError, match=r"keras\.layers\.TorchModuleWrapper\(teacher\)\]\)"):
        Distiller(net(5), copy.deepcopy(module))
