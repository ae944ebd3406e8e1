"""What goes and what stays between two trainings."""

import gc

import keras
import pytest
from models_for_tests import COMPILED, cross_entropy, examples, inferred, net

from keras_kd import Distiller
from keras_kd.tuning import keras_state
from keras_kd.tuning.fresh_session import fresh_session

pytestmark = pytest.mark.core

X, Y = examples(12)
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def steps():
    """How many graphs of compiled steps there are, which hold a model's weights."""
    gc.collect()
    named = [o for o in gc.get_objects() if type(o).__name__ == "FuncGraph"]
    return len([graph for graph in named if graph.name in ("one_step_on_data", "scratch_graph")])


@pytest.mark.alike
def test_what_the_user_has_set_stays():
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.config.disable_interactive_logging()
        keras.config.disable_traceback_filtering()
        keras.config.disable_flash_attention()
        fresh_session()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert not keras.config.is_interactive_logging_enabled()
        assert not keras.config.is_traceback_filtering_enabled()
        assert keras.config.is_flash_attention_enabled() is False
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.enable_interactive_logging()
        keras.config.enable_traceback_filtering()
        keras.config.enable_flash_attention()


@pytest.mark.alike
def test_open_scopes_and_what_may_be_read_stay():
    class Mine:
        pass

    function = keras.saving.serialize_keras_object(lambda x: x + 1)
    with keras_state.kept(), keras.saving.custom_object_scope({"Mine": Mine}):
        fresh_session()
        assert keras.saving.get_registered_object("Mine") is Mine
        with pytest.raises(ValueError, match="lambda"):
            keras.saving.deserialize_keras_object(function)
        keras.utils.clear_session()  # a state that goes when the test ends
        keras.config.enable_unsafe_deserialization()
        fresh_session()
        assert keras.saving.deserialize_keras_object(function)(1) == 2


@pytest.mark.skipif(not ON_TENSORFLOW, reason="of TensorFlow's graphs")
def test_a_compiled_step_goes_with_its_model_and_that_of_a_held_one_still_trains():
    fresh_session()
    before = steps()
    model = Distiller(net(3), net(5, seed=1))
    model.compile("sgd", cross_entropy(), **COMPILED)
    model.fit(X, Y, verbose=0)
    assert steps() > before
    fresh_session()
    answers = inferred(model.student, X)
    model.compile("sgd", cross_entropy(), **COMPILED)  # traced anew
    model.fit(X, Y, verbose=0)
    assert abs(inferred(model.student, X) - answers).max() > 0.0
    del model
    fresh_session()
    assert steps() <= before
