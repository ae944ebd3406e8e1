"""One worker of many: `python -m keras_kd.label` labels a part of a data set."""

import sys

from keras_kd.scale.label_command import main

if __name__ == "__main__":
    sys.exit(main())
