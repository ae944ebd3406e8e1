import os
import sys

import pytest

from keras_kd.demo.progress_bar import progress_bar


def test_what_libraries_write_meanwhile_does_not_tear_the_bar_and_is_kept(tmp_path, capfd):
    with progress_bar(2, tmp_path / "messages.txt") as bar:
        os.write(2, b"I0000 native code\n")
        bar.set_description("teacher")
        bar.set_postfix(accuracy="97.0 %")
        bar.update()
    os.write(2, b"afterwards\n")
    printed, shown = capfd.readouterr()
    assert "I0000" not in shown and shown.endswith("afterwards\n")
    assert "teacher:  50%" in shown and "accuracy=97.0 %" in shown
    assert (tmp_path / "messages.txt").read_text() == "I0000 native code\n"
    assert "messages.txt" in printed


def test_a_bar_that_nothing_disturbs_leaves_no_file_and_errors_are_shown(tmp_path, capfd):
    with progress_bar(1, tmp_path / "messages.txt"):
        pass
    assert not (tmp_path / "messages.txt").exists()
    with pytest.raises(RuntimeError), progress_bar(1, tmp_path / "messages.txt"):
        raise RuntimeError
    print("heard", file=sys.stderr)
    assert "heard" in capfd.readouterr().err
