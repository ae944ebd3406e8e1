"""The demo: `python -m keras_kd` distils on real data, exports the student, and reports."""

import sys

from keras_kd.demo.command_line import main

if __name__ == "__main__":
    sys.exit(main())
