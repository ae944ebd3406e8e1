import pytest

from keras_kd.models import wide_resnet


def test_it_has_the_parameters_of_the_paper():
    # Zagoruyko & Komodakis, table 4: WRN-40-2 has 2.2M, WRN-16-2 0.7M in what others report.
    assert wide_resnet((32, 32, 3), 10, depth=40).count_params() == pytest.approx(2.2e6, rel=0.03)
    assert wide_resnet((32, 32, 3), 10).count_params() == pytest.approx(0.7e6, rel=0.03)


def test_stages_halve_the_size_and_double_the_width():
    model = wide_resnet((16, 16, 3), 10, depth=10, widen=1)
    shapes = [model.get_layer(f"stage{stage}").output.shape[1:] for stage in (1, 2, 3)]
    assert shapes == [(16, 16, 16), (8, 8, 32), (4, 4, 64)]
    assert model.get_layer("bn").output.shape == model.get_layer("stage3").output.shape
    assert model.get_layer("pool").output.shape[1:] == (64,)


@pytest.mark.parametrize(
    "settings",
    [{"input_shape": (32, 32)}, {"depth": 8}, {"depth": 4}],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=r"Received: (input_shape|depth)="):
        wide_resnet(**{"input_shape": (32, 32, 3), "num_classes": 10, **settings})
