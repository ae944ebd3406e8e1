import keras
import pytest
from keras import layers

from keras_kd.features.model_spec import input_spec, inspect_model

pytestmark = pytest.mark.core


def kind(model):
    """What the Distiller finds out about a model's only output."""
    (found,) = inspect_model(model, input_spec(model), {}).is_logits
    return found


def exact_kind(model):
    (found,) = inspect_model(model, input_spec(model), {}).kinds
    return found


def ending_in(*last, shape=(6,)):
    return keras.Sequential([keras.Input(shape), *last])


@pytest.mark.parametrize(
    ("last", "is_logits"),
    [
        ([layers.Dense(3)], True),
        ([layers.Dense(3, "linear")], True),
        ([layers.EinsumDense("ab,bc->ac", 3)], True),
        ([layers.Dense(3), layers.Activation("linear")], True),
        ([layers.Dense(3), layers.Activation("linear", dtype="float32")], True),
        ([layers.Dense(3, "softmax")], False),
        ([layers.Dense(3, keras.activations.softmax)], False),
        ([layers.Dense(3, "sigmoid")], False),
        ([layers.Dense(3), layers.Softmax()], False),
        ([layers.Dense(3), layers.Activation("softmax")], False),
        ([layers.Dense(3), layers.Activation("sigmoid")], False),
        ([layers.Dense(3), layers.Activation("softmax", dtype="float32")], False),
        ([layers.Dense(3, "relu")], None),
        ([layers.Dense(3), layers.LayerNormalization()], None),
        ([layers.Dense(3), layers.Lambda(lambda x: x)], True),
        ([layers.Dense(3), layers.Lambda(lambda x: 2 * x)], None),
        ([layers.Dropout(0.5)], None),
        ([layers.Identity()], None),
    ],
)
def test_the_last_layers_tell(last, is_logits):
    assert kind(ending_in(*last)) is is_logits


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize(("activation", "is_logits"), [("linear", True), ("softmax", False)])
@pytest.mark.parametrize("inner", [None, "softmax"])
def test_a_float32_activation_after_half_precision_scores(policy, activation, is_logits, inner):
    model = ending_in(
        layers.Dense(3, inner, dtype=policy), layers.Activation(activation, dtype="float32")
    )
    assert kind(model) is (is_logits and inner is None)


@pytest.mark.parametrize("last", [None, "sigmoid"])
@pytest.mark.parametrize(
    "passing",
    [
        [layers.Reshape((3, 2))],
        [layers.Flatten()],
        [layers.Dropout(0.5)],
        [layers.Identity()],
        [layers.Reshape((2, 3)), layers.Permute((2, 1)), layers.GlobalAveragePooling1D()],
        [layers.Reshape((3, 2)), layers.Dropout(0.1), layers.AveragePooling1D(3), layers.Flatten()],
    ],
    ids=lambda passing: "-".join(type(layer).__name__ for layer in passing),
)
def test_layers_that_hand_scores_on_are_seen_through(last, passing):
    assert kind(ending_in(layers.Dense(6, last), *passing)) is (last is None)


@pytest.mark.parametrize("last", [None, "softmax"])
def test_a_head_of_convolution_and_pooling_is_seen_through(last):
    model = ending_in(
        layers.Conv2D(3, 1, data_format="channels_last", activation=last),
        layers.GlobalAveragePooling2D(data_format="channels_last"),
        shape=(4, 4, 2),
    )
    assert kind(model) is (last is None)


@pytest.mark.parametrize(
    ("one", "other", "is_logits"),
    [(None, None, True), ("sigmoid", "sigmoid", False), (None, "softmax", None)],
)
@pytest.mark.parametrize("joined", [layers.Average, layers.Concatenate])
def test_joined_scores_are_known_when_their_kinds_agree(one, other, is_logits, joined):
    inputs = keras.Input((6,))
    model = keras.Model(
        inputs, joined()([layers.Dense(3, one)(inputs), layers.Dense(3, other)(inputs)])
    )
    assert kind(model) is is_logits


@pytest.mark.parametrize("last", [None, "softmax"])
def test_scores_at_every_time_step_are_seen_through(last):
    model = ending_in(layers.TimeDistributed(layers.Dense(3, last)), shape=(5, 2))
    assert kind(model) is (last is None)


@pytest.mark.alike
@pytest.mark.parametrize("last", [None, "softmax"])
def test_a_quantised_model_is_of_the_same_kind(last):
    model = ending_in(layers.Dense(3, last))
    model.quantize("int8")
    assert kind(model) is (last is None)


@pytest.mark.parametrize("last", [None, "softmax"])
def test_nested_models_are_seen_through(last):
    inner = ending_in(layers.Dense(3, last))
    assert kind(ending_in(ending_in(inner))) is (last is None)
    inputs = keras.Input((6,))
    assert kind(keras.Model(inputs, layers.Dropout(0.1)(inner(inputs)))) is (last is None)


class Subclassed(keras.Model):
    def __init__(self, end):
        super().__init__()
        self.hidden = layers.Dense(4, "relu")
        self.scores = layers.Dense(3)
        self.end = end

    def call(self, x):
        return self.end(self.scores(self.hidden(x)))


@pytest.mark.parametrize(
    ("end", "is_logits"),
    [
        (lambda x: x, True),
        (layers.Softmax(), False),
        (lambda x: x / 2.0, None),
    ],
)
def test_subclassed_models_tell_as_far_as_their_layers_do(end, is_logits):
    model = Subclassed(end)
    model(keras.ops.zeros((2, 6)))
    assert kind(model) is is_logits


@pytest.mark.parametrize("end", [keras.ops.softmax, keras.activations.softmax])
def test_a_softmax_that_is_no_layer_is_never_taken_for_logits(end):
    model = Subclassed(end)
    model(keras.ops.zeros((2, 6)))
    assert kind(model) is not True  # TensorFlow tells, JAX does not: then the user is asked


def test_every_output_has_its_own_kind():
    inputs = keras.Input((6,))
    outputs = {
        "logits": layers.Dense(3)(inputs),
        "probabilities": layers.Dense(3, "softmax")(inputs),
        "unknown": layers.Dense(3, "relu")(inputs),
    }
    model = keras.Model(inputs, outputs)
    spec = inspect_model(model, input_spec(model), {})
    assert dict(zip(spec.outputs, spec.is_logits, strict=True)) == {
        "logits": True,
        "probabilities": False,
        "unknown": None,
    }


def test_an_output_that_is_an_input_is_unknown():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, [inputs, layers.Dense(3)(inputs)])
    assert inspect_model(model, input_spec(model), {}).is_logits == [None, True]


@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
@pytest.mark.parametrize("inside", ["scores", "layer", "subclassed", "passed on"])
def test_what_made_the_probabilities_is_told(end, inside):
    models = {
        "scores": lambda: ending_in(layers.Dense(6, end)),
        "layer": lambda: ending_in(layers.Dense(6), layers.Activation(end)),
        "subclassed": lambda: Subclassed(layers.Activation(end)),
        "passed on": lambda: ending_in(layers.Dense(6, end), layers.Reshape((1, 6))),
    }
    model = models[inside]()
    model(keras.ops.zeros((2, 6)))
    assert exact_kind(model) == end


def test_probabilities_of_two_kinds_are_of_no_one_kind():
    inputs = keras.Input((6,))
    ends = [layers.Dense(3, "softmax")(inputs), layers.Dense(3, "sigmoid")(inputs)]
    assert exact_kind(keras.Model(inputs, layers.Average()(ends))) == "probabilities"


def axis(*last, shape=(4, 3)):
    """Where the classes of a model that ends so are, from the end; None if it cannot be known."""
    model = ending_in(*last, shape=shape)
    spec = inspect_model(model, input_spec(model), {})
    return None if spec.kinds[0] is None else spec.class_axes[0]


@pytest.mark.parametrize(
    ("expected", "last"),
    [
        (-2, [layers.Softmax(axis=1)]),
        (-2, [layers.Softmax(axis=-2)]),
        (-1, [layers.Softmax(axis=[2])]),
        (None, [layers.Softmax(axis=[1, 2])]),
        (-1, [layers.Softmax(axis=1), layers.Permute((2, 1))]),
        (-2, [layers.Softmax(), layers.Permute((2, 1))]),
        (-2, [layers.Softmax(axis=1), layers.Reshape((4, 3, 1)), layers.Reshape((4, 3))]),
        (-1, [layers.Softmax(), layers.Reshape((2, 2, 3))]),
        (None, [layers.Softmax(), layers.Reshape((3, 4))]),
        (None, [layers.Softmax(), layers.Flatten()]),
        (None, [layers.Softmax(axis=1), layers.GlobalAveragePooling1D()]),
        (-1, [layers.Softmax(), layers.GlobalAveragePooling1D()]),
        (-1, [layers.Softmax(), layers.GlobalAveragePooling1D(keepdims=True)]),
        (-1, [layers.Softmax(), layers.AveragePooling1D(2), layers.Dropout(0.5)]),
        (None, [layers.Softmax(axis=1), layers.Cropping1D(1)]),
        (-2, [layers.TimeDistributed(layers.Reshape((3, 1))), layers.Softmax(axis=2)]),
        (-1, [layers.TimeDistributed(layers.Softmax())]),
    ],
)
def test_where_the_classes_are_is_followed_from_layer_to_layer(expected, last):
    assert axis(*last) == expected


def test_a_map_of_one_place_is_flattened_to_its_classes():
    assert axis(layers.Softmax(), layers.Flatten(), shape=(1, 1, 3)) == -1


@pytest.mark.parametrize(("along", "expected"), [(1, -1), (2, None)])
def test_softmaxes_side_by_side_are_one_only_along_the_places(along, expected):
    inputs = keras.Input((4, 3))
    ends = [layers.Dense(3, "softmax")(inputs) for _ in range(2)]
    model = keras.Model(inputs, layers.Concatenate(axis=along)(ends))
    spec = inspect_model(model, input_spec(model), {})
    assert (spec.class_axes[0] if spec.kinds[0] else None) == expected


def test_the_axis_of_a_function_is_unknown_where_there_are_several():
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, keras.activations.softmax(layers.Dense(3)(inputs), axis=1))
    spec = inspect_model(model, input_spec(model), {})
    assert spec.kinds == [None]


def test_a_head_with_tied_embeddings_gives_logits():
    tokens = keras.Input((5,), dtype="int32")
    embedding = layers.ReversibleEmbedding(7, 4)
    hidden = layers.Dense(4)(embedding(tokens))
    assert exact_kind(keras.Model(tokens, embedding(hidden, reverse=True))) == "logits"
    assert exact_kind(keras.Model(tokens, embedding(tokens))) is None


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_loss_that_a_model_was_compiled_with_tells_what_its_output_is(from_logits):
    model = ending_in(layers.Dense(3), layers.Lambda(lambda x: 2 * x))
    assert kind(model) is None
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits))
    assert kind(model) is from_logits
    told = ending_in(layers.Dense(3))
    told.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=False))
    assert kind(told) is True  # what the layers say stands
