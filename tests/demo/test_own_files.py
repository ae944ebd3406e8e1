"""The demo with a user's own models and images."""

import hashlib
import pathlib

import keras
import pytest
from lamps import SIZE, net, picture

from keras_kd.demo.command_line import main

QUICK = ["--epochs", "1", "--seeds", "1", "--labels", "8"]


def digests(*places):
    """Returns what files hold, folders with all that is in them."""
    files = [
        file
        for place in map(pathlib.Path, places)
        for file in ([place] if place.is_file() else sorted(place.rglob("*")))
        if file.is_file()
    ]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def run(folder, teacher, student, tmp_path_factory):
    """One run of own teacher, student and images: its folder, and what was there before."""
    before = digests(folder, teacher, student)
    out = tmp_path_factory.mktemp("runs") / "run"
    own = ["--teacher", teacher, "--student", student, "--dataset", str(folder)]
    assert main([*QUICK, *own, "--augment", "flips", "--out", str(out)]) == 0
    return out, before


def test_own_files_are_left_as_they_were(run, folder, teacher, student):
    assert digests(folder, teacher, student) == run[1]


def test_the_report_tells_of_own_files_and_of_the_augmentation(run, teacher, student):
    report = (run[0] / "report.md").read_text()
    assert f"The teacher is the model of {teacher}, as it was." in report
    assert f"The student is the model of {student}; it starts from new weights" in report
    assert "shifted by up to an eighth and mirrored" in report
    assert "| teacher " in report and "100.00" in report  # the teacher is right on all of them
    assert "Seeds: 1 to 1 for the students" in report
    assert not (run[0] / "models" / "teacher.keras").exists()


def test_an_own_student_is_trained_in_its_own_shape(run):
    student = keras.saving.load_model(run[0] / "models" / "student_distilled_seed_0.keras")
    assert [layer.name for layer in student.layers][-1] == "scores"


def test_the_pictures_of_the_report_say_what_they_show(run):
    page = (run[0] / "report.html").read_text()
    assert page.count("<img") == page.count('<img alt="') >= 3
    assert "Mean accuracy after the last epoch: student, 8 labels" in page
    assert "Exports side by side: SavedModel" in page


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs the demo, which must refuse early; returns what it says in one line."""

    def run(*arguments):
        assert main([*QUICK, *arguments, "--out", str(tmp_path / "run")]) == 2
        assert not (tmp_path / "run").exists()
        return capsys.readouterr().err

    return run


@pytest.fixture
def saved(tmp_path):
    def save(model, name="model.keras"):
        model.save(tmp_path / name)
        return str(tmp_path / name)

    return save


def test_another_number_of_classes_is_refused(refused, saved, folder):
    own = saved(net(keras.layers.Dense(3)))
    said = refused("--teacher", own, "--dataset", str(folder))
    assert "with 3 outputs" in said and "with 2 classes: off, on" in said


def test_teacher_and_student_of_other_classes_or_images_are_refused(refused, saved, teacher):
    three = saved(net(keras.layers.Dense(3)))
    said = refused("--teacher", teacher, "--student", three, "--dataset", "digits")
    assert "images (6, 5, 3)" in said  # the digits have one channel
    large = saved(net(keras.layers.Dense(2), shape=(9, 9, 3)), "large.keras")
    assert "agree on the size" in refused("--teacher", teacher, "--student", large)
    assert "agree on the size" in refused("--teacher", teacher, "--image-size", "7")


def test_a_teacher_of_another_range_of_pixels_is_refused_and_the_range_is_named(
    refused, saved, folder
):
    own = saved(net(keras.layers.Dense(2, "softmax"), low=-1.0, high=1.0))
    said = refused("--teacher", own, "--dataset", str(folder))
    assert "no better than chance" in said and "With --pixels centred 100.0 %" in said


def test_a_teacher_of_classes_in_another_order_is_refused_and_the_order_is_named(
    refused, saved, folder
):
    own = net(keras.layers.Dense(2))
    own.set_weights([weight[..., ::-1] for weight in own.get_weights()])
    said = refused("--teacher", saved(own), "--dataset", str(folder))
    assert "With --class-names on,off 100.0 %" in said


def test_class_names_that_the_folder_has_not_are_refused(refused, teacher, folder):
    said = refused("--teacher", teacher, "--dataset", str(folder), "--class-names", "on,of")
    assert "Missing: ['off'], not in the data: ['of']" in said


def test_images_without_labels_need_a_teacher(refused, folder):
    assert "need a trained teacher" in refused("--dataset", str(folder / "on"))


def test_every_output_has_a_name_or_none(refused, teacher, folder):
    said = refused("--teacher", teacher, "--dataset", str(folder / "on"), "--class-names", "a,b,c")
    assert "must name every output" in said and "with 2 outputs" in said


def test_what_is_neither_a_folder_nor_a_set_is_told_so(refused, tmp_path):
    said = refused("--dataset", str(tmp_path / "nowhere"), "--data-dir", str(tmp_path))
    assert "Nor is there a folder of images" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--keep-weights"], "--keep-weights is for a --student"),
        (["--student", "own.keras", "--student-width", "4"], "the demo's own student"),
    ],
)
def test_options_that_would_do_nothing_are_refused(capsys, arguments, said):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_images_without_labels_are_taught_by_the_teacher_alone(folder, teacher, tmp_path, capsys):
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        picture(
            tmp_path / "all" / f"{number}.png",
            keras.utils.img_to_array(keras.utils.load_img(file))[0, 0, 0],
        )
    own = ["--teacher", teacher, "--dataset", str(tmp_path / "all"), "--out", str(tmp_path / "run")]
    assert main([*QUICK, *own, "--class-names", "dark,bright"]) == 0
    assert "none labelled: the teacher alone teaches" in capsys.readouterr().out
    report = (tmp_path / "run" / "report.md").read_text()
    assert "student of the teacher" in report and "alpha 0." in report
    assert "Accuracy" not in report and "have no labels" in report
    assert (tmp_path / "run" / "models" / "student_int8.tflite").exists()


@pytest.mark.slow
def test_own_student_beside_the_demo_s_teacher_on_other_pixels(folder, saved, tmp_path):
    own = saved(net(keras.layers.Dense(2, "softmax"), low=0.0, high=1.0, shape=(None, None, 3)))
    out = tmp_path / "run"
    kept = ["--student", own, "--keep-weights", "--pixels", "1", "--image-size", "16"]
    assert main([*QUICK, *kept, "--dataset", str(folder), "--out", str(out)]) == 0
    assert "starts from the weights of the file" in (out / "report.md").read_text()
    teacher = keras.saving.load_model(out / "models" / "teacher.keras")
    assert teacher.input_shape == (None, 16, 16, 3)
    assert teacher.layers[0].name == "pixels" and SIZE != (16, 16)
