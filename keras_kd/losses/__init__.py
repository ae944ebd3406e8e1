"""Distances between what a teacher gives and what a student gives. One loss a file."""

from keras_kd.losses.at_loss import ATLoss
from keras_kd.losses.binary_kd_loss import BinaryKDLoss
from keras_kd.losses.bounded_regression_loss import BoundedRegressionLoss
from keras_kd.losses.cosine_feature_loss import CosineFeatureLoss
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.dkd_loss import DKDLoss
from keras_kd.losses.fit_net_loss import FitNetLoss
from keras_kd.losses.hard_label_loss import HardLabelLoss
from keras_kd.losses.kd_loss import KDLoss
from keras_kd.losses.logits_mse_loss import LogitsMSELoss
from keras_kd.losses.nkd_loss import NKDLoss
from keras_kd.losses.regression_loss import RegressionLoss
from keras_kd.losses.soft_cross_entropy_loss import SoftCrossEntropyLoss

__all__ = [
    "ATLoss",
    "BinaryKDLoss",
    "BoundedRegressionLoss",
    "CosineFeatureLoss",
    "DKDLoss",
    "DistillationLoss",
    "FitNetLoss",
    "HardLabelLoss",
    "KDLoss",
    "LogitsMSELoss",
    "NKDLoss",
    "RegressionLoss",
    "SoftCrossEntropyLoss",
]
