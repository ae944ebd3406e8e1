import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_kd.features import Tap

pytestmark = pytest.mark.core


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
)
def test_a_tap_survives_saving_and_is_a_key(layer, side, call):
    tap = Tap(layer, side=side, call=call)
    config = keras.saving.serialize_keras_object(tap)
    again = keras.saving.deserialize_keras_object(config)
    assert again == tap
    assert {tap: 1}[again] == 1


def test_taps_cannot_be_changed():
    with pytest.raises(AttributeError):
        Tap("a").layer = "b"
