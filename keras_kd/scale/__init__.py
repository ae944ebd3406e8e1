"""Labelling on many machines, by any engine, Beam or Ray; and several students in one step."""

from keras_kd.scale.label_job import LabelJob
from keras_kd.scale.label_on_ray import label_on_ray
from keras_kd.scale.label_with_teacher import LabelWithTeacher
from keras_kd.scale.several_students import SeveralStudents

__all__ = ["LabelJob", "LabelWithTeacher", "SeveralStudents", "label_on_ray"]
