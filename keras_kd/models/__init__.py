"""Small reference teachers and students for the demo, the benchmarks and the notebooks."""

from keras_kd.models.cnn import cnn as cnn
from keras_kd.models.mlp import mlp as mlp
