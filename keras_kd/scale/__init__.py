"""Labelling on many machines: one job that any engine runs, and doors to Beam and Ray."""

from keras_kd.scale.label_job import LabelJob
from keras_kd.scale.label_on_ray import label_on_ray
from keras_kd.scale.label_with_teacher import LabelWithTeacher

__all__ = ["LabelJob", "LabelWithTeacher", "label_on_ray"]
