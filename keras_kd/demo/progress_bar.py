"""One bar on the terminal, and nothing else meanwhile."""

import contextlib
import os
import sys

try:
    import tqdm
except ImportError as error:
    raise ImportError('The demo needs more: `pip install "keras_kd[demo]"`.') from error


@contextlib.contextmanager
def progress_bar(total, messages):
    """Yields a bar of `total` epochs with the time left.

    What libraries write to stderr meanwhile, TensorFlow's native code for one, would tear it: that
    goes to a file, which is told of where it is not empty.

    Args:
        total: How many epochs there are.
        messages: The file, a path.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with open(messages, "ab") as kept, os.fdopen(os.dup(2), "w", encoding="utf-8") as shown:
            os.dup2(kept.fileno(), 2)
            with tqdm.tqdm(total=total, unit="epoch", dynamic_ncols=True, file=shown) as bar:
                yield bar
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
    if messages.stat().st_size:
        print(f"What the libraries said meanwhile: {messages}")
    else:
        messages.unlink()
