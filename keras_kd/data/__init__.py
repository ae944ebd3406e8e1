"""Image-classification data for the demo, the benchmarks and the notebooks."""

from keras_kd.data.digits import digits as digits
from keras_kd.data.image_classification import image_classification as image_classification
from keras_kd.data.image_data import ImageData as ImageData
