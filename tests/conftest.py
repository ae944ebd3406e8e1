"""What every test shares."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

# Variants of what another test beside them shows, by the beginning of their names.
XLA = (
    "tests/test_distiller_data.py::"
    "test_every_loss_compiles_under_xla_and_gives_what_it_gives_eagerly"
)
VARIANTS = (
    f"{XLA}[ATLoss",
    f"{XLA}[BinaryKDLoss",
    f"{XLA}[BoundedRegressionLoss",
    f"{XLA}[CosineFeatureLoss",
    f"{XLA}[HardLabelLoss",
    f"{XLA}[LogitsMSELoss",
    f"{XLA}[RegressionLoss",
    "tests/features/test_awaited_shapes.py::test_a_saved_distiller_goes_on_where_it_stopped[from",
    "tests/features/test_awaited_shapes.py::test_tf_data_tell_shapes_before_they_run[True",
    "tests/features/test_gradient_term.py::test_beside_a_feature_loss_the_recordings_do_not_mix[xla",
    "tests/losses/test_top_k.py::test_fit_on_top_k_labels_is_fit_on_their_logits[DKDLoss",
    "tests/models/test_fcos.py::test_it_distils_with_a_loss_for_each_output_or_for_one",
    "tests/models/test_speech_models.py::test_it_learns_to_tell_tones_apart_and_is_saved[speech_cnn",
    "tests/test_distiller_padding.py::test_a_label_that_is_no_class_leaves_padding_out[LogitsMSELoss",
    "tests/test_distiller_padding.py::test_the_mask_of_the_words_leaves_padding_out_live_and_from_the_"
    "cache[cnn",
    "tests/test_distiller_regression.py::test_a_line_learns_the_least_squares",
    "tests/test_distiller_text.py::test_places_that_correspond_are_compared",
    "tests/test_resuming.py::test_a_saved_distiller_goes_on_where_it_stopped[Adam-0.0",
    "tests/test_resuming.py::test_a_saved_distiller_goes_on_where_it_stopped[SGD-0.5",
)
# What reads shapes, files and settings, or walks variants of what other tests run on JAX too:
# TensorFlow's run shows it.
ALIKE_ON_JAX = (
    "tests/cache/test_components.py",
    "tests/cache/test_fingerprints.py",
    "tests/cache/test_labeller.py",
    "tests/cache/test_mix_labels.py::test_batches",
    "tests/cache/test_mix_labels.py::test_images_labels_teacher_and_weights",
    "tests/cache/test_mix_labels.py::test_top_k",
    "tests/cache/test_teacher_cache_identity.py",
    "tests/cache/test_teacher_cache_interrupted.py",
    "tests/cache/test_teacher_cache_workers.py",
    "tests/cache/test_teacher_cache.py::test_a_dataset_that_changes",
    "tests/cache/test_teacher_cache.py::test_answers_are",
    "tests/cache/test_teacher_cache.py::test_every_element",
    "tests/cache/test_teacher_cache.py::test_no_option",
    "tests/cache/test_teacher_cache.py::test_one_output",
    "tests/cache/test_teacher_cache.py::test_teachers_of_several_outputs",
    "tests/cache/test_views.py::test_a_view_depends",
    "tests/cache/test_views.py::test_all_views",
    "tests/cache/test_views.py::test_the_order_follows",
    "tests/features/test_awaited_shapes.py",
    "tests/losses/test_dist_loss.py::test_dist_leaves_padding_out",
    "tests/losses/test_distillation_loss.py::test_the_gradient_is_the_slope_of_the_values",
    "tests/losses/test_ft_loss.py::test_ft_loss_leaves_padding_out",
    "tests/losses/test_ft_loss.py::test_the_papers_two_stages_in_one_fit",
    "tests/losses/test_top_k.py::test_every_softmax_loss",
    "tests/losses/test_top_k.py::test_top_k_labels_spread",
    "tests/models/",
    "tests/test_distiller_data.py::test_every_loss_compiles_under_xla",
    "tests/test_distiller_padding.py",
    "tests/test_distiller_structures.py::test_an_int8_teacher",
    "tests/test_distiller_structures.py::test_what_plain_fit_trains",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leaves to `make test-all` what another test, or on JAX TensorFlow's run, shows as well."""
    left = VARIANTS + (ALIKE_ON_JAX if keras.backend.backend() == "jax" else ())
    for item in items:
        if item.nodeid.startswith(left):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seed and leaves no global Keras state behind."""
    keras.utils.set_random_seed(1)
    yield
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy("float32")
