"""Everything a user can get wrong, at once."""

import keras
import pytest
from wrong_calls import wrong_calls

pytestmark = [pytest.mark.slow, pytest.mark.core]


def test_wrong_calls(tmp_path, row):
    keras.config.disable_interactive_logging()
    tried, found = 0, {"silent": [], "raw": []}
    for what, call in wrong_calls(tmp_path):
        tried += 1
        try:
            call()
        except (TypeError, ValueError, OSError) as error:
            if "Received" not in str(error):
                found["raw"].append((what, repr(error)[:200]))
        except Exception as error:
            found["raw"].append((what, repr(error)[:200]))
        else:
            found["silent"].append(what)
    row("Wrong calls", tried, least=261, **found)
