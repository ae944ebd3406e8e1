import logging
import os
import sys
import warnings

import pytest

from keras_kd.export.quiet import quiet

pytestmark = pytest.mark.core


def test_native_chatter_warnings_and_loggers_are_silent_inside_only(capfd, recwarn):
    with quiet():
        os.write(2, b"native noise")
        logging.getLogger("tensorflow").error("logged noise")
        warnings.warn("warned noise", stacklevel=1)
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "after\n"
    assert not recwarn.list


def test_an_error_passes_and_stderr_is_back(capfd):
    with pytest.raises(KeyError), quiet():
        raise KeyError
    os.write(2, b"back")
    assert capfd.readouterr().err == "back"
