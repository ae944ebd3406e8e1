import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_kd.features import Tap

pytestmark = [pytest.mark.core, pytest.mark.alike]


def test_a_string_is_the_output_of_a_layer_that_runs_once():
    assert Tap.of("backbone/stage2") == Tap("backbone/stage2", side="output", call=None)
    tap = Tap("stage2", side="input", call=1)
    assert Tap.of(tap) is tap


@pytest.mark.parametrize("layer", ["", None, 3, ["a"], b"a"])
def test_a_layer_is_named_by_a_string(layer):
    with pytest.raises(ValueError, match=r"`layer` must be a layer's name. Received: layer="):
        Tap.of(layer)


@pytest.mark.parametrize("side", ["", None, "outputs", 0])
def test_a_side_is_one_of_those_there_are(side):
    with pytest.raises(ValueError, match=r"`side` must be one of .* Received: side="):
        Tap("a", side=side)


@pytest.mark.parametrize("call", [-1, 0.0, 1.5, True, "0"])
def test_calls_are_counted_from_0(call):
    with pytest.raises(ValueError, match=r"`call` must be an index from 0. Received: call="):
        Tap("a", call=call)


@given(
    st.text(min_size=1),
    st.sampled_from(["input", "output"]),
    st.none() | st.integers(0, 100),
    st.none() | st.lists(st.none() | st.integers(1, 9)),
)
def test_a_tap_survives_saving_and_is_a_key(layer, side, call, sizes):
    shape = None if sizes is None else (None, *sizes)
    tap = Tap(layer, side=side, call=call, shape=shape)
    config = keras.saving.serialize_keras_object(tap)
    again = keras.saving.deserialize_keras_object(config)
    assert again == tap and again.shape == shape
    assert {tap: 1}[again] == 1


def test_taps_cannot_be_changed():
    with pytest.raises(AttributeError):
        Tap("a").layer = "b"


@pytest.mark.parametrize(
    ("tap", "key"),
    [
        (Tap("stage1"), "stage1"),
        (Tap("backbone/conv", "input"), "backbone/conv:input"),
        (Tap("attention2", "attention_scores"), "attention2:attention_scores"),
        (Tap("stage1", call=1), "stage1#1"),
        (Tap("stage1", "input", 0, shape=(None, 3)), "stage1:input#0"),
    ],
)
def test_a_key_names_layer_side_and_call(tap, key):
    assert tap.key == key


@pytest.mark.parametrize("shape", [(), 3, (4, 3), (None, 0), (None, -1), (None, 2.0), (None, True)])
def test_a_shape_begins_with_the_batch_which_is_none(shape):
    with pytest.raises(ValueError, match=r"`shape` of side 'output' must be .* Received: shape="):
        Tap("a", shape=shape)


def test_vectors_of_attention_have_three_shapes():
    shape = {"query": [None, 5, 2, 4], "key": (None, 6, 2, 4), "value": (None, None, 2, 4)}
    tap = Tap("a", "attention_vectors", shape=shape)
    assert tap.shape == {name: tuple(sizes) for name, sizes in shape.items()}
    assert {tap: 1}[Tap("a", "attention_vectors", shape=shape)] == 1
    config = keras.saving.serialize_keras_object(tap)
    assert keras.saving.deserialize_keras_object(config) == tap
    for wrong in ((None, 5), {"query": (None, 5)}, {**shape, "key": (6, 2, 4)}):
        with pytest.raises(ValueError, match=r"a dict of \['query', 'key', 'value'\]"):
            Tap("a", "attention_vectors", shape=wrong)
    with pytest.raises(ValueError, match="`shape` of side 'output'"):
        Tap("a", shape=shape)


def test_a_shape_is_shown_where_there_is_one():
    assert repr(Tap("a")) == "Tap(layer='a', side='output', call=None)"
    assert repr(Tap("a", shape=[None, 3])).endswith("call=None, shape=(None, 3))")
