"""Teacher outputs on disk: written once, replayed for ever."""

from keras_kd.cache.estimate import Estimate
from keras_kd.cache.labelled_part import LabelledPart
from keras_kd.cache.mix_labels import MixLabels
from keras_kd.cache.teacher_cache import TeacherCache

__all__ = ["Estimate", "LabelledPart", "MixLabels", "TeacherCache"]
