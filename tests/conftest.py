"""What every test shares."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

# What other tests show in less time, by the beginning of its name.
SHOWN_BESIDE = (
    "tests/features/test_attention_keras_hub.py::test_a_bert_is_distilled_by_every_loss",
    "tests/distiller/test_awaited_shapes.py::test_a_saved_distiller_goes_on_where_it_stopped[from",
    "tests/models/test_bert_tagger.py::test_the_pooler_is_left_out_and_all_that_is_left_learns",
    "tests/models/test_fcos.py::test_it_distils_with_a_loss_for_each_output_or_for_one",
    "tests/models/test_resnet.py::test_it_trains_in_mixed_precision",
    "tests/models/test_speech_models.py::test_it_learns_to_tell_tones_apart",
    "tests/models/test_text_cnn.py::test_it_learns_which_words_stand_together",
    "tests/models/test_unet.py::test_it_learns_which_pixels_are_bright",
    "tests/models/test_vision_transformer.py::test_it_learns_where_something_is",
    "tests/distiller/test_padding.py::test_weights_of_words_leave_padding_out",
    "tests/distiller/test_regression.py::test_a_line_learns_the_least_squares",
    "tests/distiller/test_text.py::test_a_cache_keeps_what_was_said_of_strings",
    "tests/distiller/test_text.py::test_places_that_correspond_are_compared",
)
# Of these the first values stand for all.
FIRST_ONLY = (
    "tests/cache/test_foreign_teachers.py::test_a_student_learns_through_the_cache",
    "tests/cache/test_teacher_cache.py::test_answers_are_those_of_the_teacher",
    "tests/cache/test_teacher_cache.py::test_one_output_teaches_one",
    "tests/cache/test_teacher_cache.py::test_teachers_of_several_outputs",
    "tests/cache/test_teacher_cache_identity.py::test_the_same_data_are_known_again",
    "tests/export/test_export_student.py::test_names_are_kept_apart",
    "tests/export/test_export_student.py::test_students_in_lower_precision",
    "tests/export/test_export_student.py::test_subclassed_student_learns_its_inputs",
    "tests/features/test_attention.py::test_a_mixed_precision_distiller",
    "tests/features/test_attention.py::test_the_distiller_compares_attention",
    "tests/distiller/test_awaited_shapes.py::test_tf_data_tell_shapes_before_they_run",
    "tests/distiller/test_carried_features.py::test_a_compiled_step_reads_them_too",
    "tests/distiller/test_carried_features.py::test_shapes_that_are_given",
    "tests/distiller/test_gradient_term.py::test_beside_a_feature_loss",
    "tests/distiller/test_loss_parts.py::test_a_loss_own_part_is_saved_and_resumed",
    "tests/distiller/test_loss_parts.py::test_some_pairs_of_layers",
    "tests/distiller/test_loss_parts.py::test_the_index_travels",
    "tests/distiller/test_data.py::test_every_loss_compiles_under_xla",
    "tests/distiller/test_padding.py::test_a_label_that_is_no_class",
    "tests/distiller/test_padding.py::test_the_mask_of_the_words",
    "tests/distiller/test_structures.py::test_inputs_of_every_structure_train",
    "tests/distiller/test_resuming.py::test_a_saved_distiller_goes_on_where_it_stopped",
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
    "tests/distiller/test_awaited_shapes.py",
    "tests/models/",
    "tests/distiller/test_data.py::test_every_loss_compiles_under_xla",
    "tests/distiller/test_padding.py",
    "tests/distiller/test_structures.py::test_an_int8_teacher",
    "tests/distiller/test_structures.py::test_what_plain_fit_trains",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leaves to `make test-all` what another test, or on JAX TensorFlow's run, shows as well."""
    left = SHOWN_BESIDE + (ALIKE_ON_JAX if keras.backend.backend() == "jax" else ())
    seen = set()
    for item in items:
        name = item.nodeid.split("[")[0]
        if item.nodeid.startswith(left) or (name in seen and name.startswith(FIRST_ONLY)):
            item.add_marker(pytest.mark.slow)
        seen.add(name)


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seed and leaves no global Keras state behind."""
    keras.utils.set_random_seed(1)
    yield
    keras.utils.clear_session(free_memory=False)
    keras.config.set_dtype_policy("float32")
