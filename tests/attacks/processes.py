"""Processes that label, to be killed, or to meet."""

import os
import subprocess
import sys
from pathlib import Path

import keras_kd

TESTS = Path(__file__).parents[1]
COUNT = 400  # examples, in shards of 16

_CODE = """
import os, sys, tempfile, time
sys.path.insert(0, sys.argv[1])
import keras
keras.config.disable_interactive_logging()
import keras_kd.cache.identity as identity
identity._SHARD_EXAMPLES, identity._BLOCK_EXAMPLES = 16, 4
from caching import Lines, numbers
from keras_kd import TeacherCache
class Slow(Lines):
    def __call__(self, x):
        time.sleep(float(sys.argv[3]))
        return super().__call__(x)
x = numbers(int(sys.argv[4]))
user, group = map(int, os.environ.get("LABELLER", "0 0").split())
if user:  # all that is imported late is imported before it may read less
    TeacherCache(tempfile.mkdtemp(), Lines()).label(x)
    os.setgroups([]), os.setgid(group), os.setuid(user)
elif group:
    os.setgid(group)
cache = TeacherCache(sys.argv[2], Slow(), dtype="float32")
print("ready", flush=True)
if sys.argv[5:] == ["all"]:
    cache.label(x, batch_size=8)
else:
    cache.label_shard(x, *map(int, sys.argv[5:]), batch_size=8)
"""


def labeller(folder, *part, pause=0.0, user=0, group=0):
    """A process that labels all, or `part`: an index and a count.

    Args:
        folder: The cache's.
        *part: Which part.
        pause: Seconds that the teacher takes for eight examples.
        user, group: Numbers of whom it runs as, if this process is root's.
    """
    arguments = [TESTS, folder, pause, COUNT, *(part or ("all",))]
    return subprocess.Popen(
        [sys.executable, "-u", "-c", _CODE, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(keras_kd.__file__).parents[1]),
            "LABELLER": f"{user} {group}",
        },
    )
