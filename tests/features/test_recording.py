import threading

import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.features import Tap
from keras_kd.features.recording import Recording, watch, watched

pytestmark = pytest.mark.core
X = np.ones((2, 3), "float32")


def dense(**kwargs):
    layer = layers.Dense(4, **kwargs)
    layer.build((None, 3))
    return layer


def test_a_watched_layer_reports_what_it_takes_and_gives():
    layer = dense(name="dense")
    watch(layer)
    with Recording() as recording:
        given = layer(X)
    assert recording.value(layer, Tap("dense")) is given
    np.testing.assert_array_equal(recording.value(layer, Tap("dense", side="input")), X)


def test_without_an_open_recording_nothing_is_kept():
    layer = dense()
    watch(layer)
    expected = keras.ops.convert_to_numpy(layer(X))
    with Recording() as recording:
        pass
    assert recording.calls == []
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(X)), expected)


def test_watching_twice_reports_once():
    layer = dense()
    watch(layer)
    watch(layer)
    with Recording() as recording:
        layer(X)
    assert len(recording.calls_of(layer)) == 1


def test_the_innermost_recording_receives_the_calls():
    layer = dense(name="dense")
    watch(layer)
    with Recording() as outer:
        layer(X)
        with Recording() as inner:
            layer(X)
            layer(X)
        layer(X)
    assert (len(outer.calls_of(layer)), len(inner.calls_of(layer))) == (2, 2)


def test_a_recording_closes_when_the_model_fails():
    layer = dense()
    watch(layer)
    with pytest.raises(ZeroDivisionError), Recording():
        raise ZeroDivisionError
    with Recording() as recording:
        layer(X)
    assert len(recording.calls) == 1


def test_threads_do_not_see_each_others_calls():
    layer = dense()
    watch(layer)
    seen = []

    def run():
        with Recording() as recording:
            layer(X)
        seen.append(len(recording.calls))

    with Recording() as mine:
        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [1, 1, 1]
    assert mine.calls == []


def test_a_layer_that_runs_several_times_must_say_which_call():
    layer = dense(name="dense")
    watch(layer)
    with Recording() as recording:
        calls = [layer(X), layer(2 * X)]
    for index, given in enumerate(calls):
        assert recording.value(layer, Tap("dense", call=index)) is given
    with pytest.raises(ValueError, match=r"runs 2 times.*call=0.*call=1"):
        recording.value(layer, Tap("dense"))
    with pytest.raises(ValueError, match=r"runs 2 times.*available: call=0 to call=1"):
        recording.value(layer, Tap("dense", call=2))


def test_a_layer_that_did_not_run_has_no_value():
    layer = dense(name="dense")
    with Recording() as recording:
        pass
    with pytest.raises(ValueError, match=r"did not run.*layer='dense'"):
        recording.value(layer, Tap("dense"))


def test_watched_leaves_layers_as_they_were():
    fresh, kept = dense(), dense()
    watch(kept)
    with watched([fresh, kept]), Recording() as recording:
        fresh(X), kept(X)
    assert len(recording.calls) == 2
    with Recording() as recording:
        fresh(X), kept(X)
    assert [call[0] for call in recording.calls] == [kept]


def test_an_input_passed_by_keyword_is_read():
    class Plus(layers.Layer):
        def call(self, value, more=None):
            return value + (0.0 if more is None else more)

    layer = Plus(name="plus")
    watch(layer)
    with Recording() as recording:
        layer(value=keras.ops.ones((2, 3)), more=keras.ops.zeros((2, 3)))
    np.testing.assert_array_equal(recording.value(layer, Tap("plus", side="input")), X)


def test_a_watched_layer_still_follows_training_and_masks():
    drop = layers.Dropout(0.5, seed=0)
    watch(drop)
    out = keras.ops.convert_to_numpy(drop(np.ones((20, 20), "float32"), training=True))
    assert set(np.unique(out)) == {0.0, 2.0}
    embedding, pooled = layers.Embedding(4, 2, mask_zero=True), layers.GlobalAveragePooling1D()
    for layer in (embedding, pooled):
        watch(layer)
    tokens = np.array([[1, 2, 0, 0]])
    short = keras.ops.convert_to_numpy(pooled(embedding(tokens[:, :2])))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(pooled(embedding(tokens))), short, atol=1e-6
    )


@pytest.mark.alike
def test_a_quantised_layer_is_read_too():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="dense")])
    model.quantize("int8")
    watch(model.get_layer("dense"))
    with Recording() as recording:
        given = model(X)
    assert recording.value(model.get_layer("dense"), Tap("dense")) is given


def test_a_watched_model_saves_clones_and_reloads(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="dense")])
    watch(model.get_layer("dense"))
    model.save(tmp_path / "model.keras")
    for other in (
        keras.saving.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ):
        with Recording() as recording:
            other(X)
        assert recording.calls == []
