"""Distances between what a teacher gives and what a student gives. One loss a file."""

from keras_kd.losses.ab_loss import ABLoss
from keras_kd.losses.at_loss import ATLoss
from keras_kd.losses.attention_loss import AttentionLoss
from keras_kd.losses.batch_loss import BatchLoss
from keras_kd.losses.binary_kd_loss import BinaryKDLoss
from keras_kd.losses.bounded_regression_loss import BoundedRegressionLoss
from keras_kd.losses.cc_loss import CCLoss
from keras_kd.losses.concat_feature_loss import ConcatFeatureLoss
from keras_kd.losses.cosine_feature_loss import CosineFeatureLoss
from keras_kd.losses.crd_loss import CRDLoss
from keras_kd.losses.ctkd_loss import CTKDLoss
from keras_kd.losses.cwd_loss import CWDLoss
from keras_kd.losses.dist_loss import DISTLoss
from keras_kd.losses.distillation_loss import DistillationLoss
from keras_kd.losses.dkd_loss import DKDLoss
from keras_kd.losses.fit_net_loss import FitNetLoss
from keras_kd.losses.fsp_loss import FSPLoss
from keras_kd.losses.ft_loss import FTLoss
from keras_kd.losses.gradient_loss import GradientLoss
from keras_kd.losses.hard_label_loss import HardLabelLoss
from keras_kd.losses.hidden_state_loss import HiddenStateLoss
from keras_kd.losses.ickd_loss import ICKDLoss
from keras_kd.losses.jsd_loss import JSDLoss
from keras_kd.losses.kd_loss import KDLoss
from keras_kd.losses.logit_std_loss import LogitStdLoss
from keras_kd.losses.logits_mse_loss import LogitsMSELoss
from keras_kd.losses.mapped_kd_loss import MappedKDLoss
from keras_kd.losses.mini_lm_loss import MiniLMLoss
from keras_kd.losses.nkd_loss import NKDLoss
from keras_kd.losses.nst_loss import NSTLoss
from keras_kd.losses.ofd_loss import OFDLoss
from keras_kd.losses.pkd_loss import PKDLoss
from keras_kd.losses.pkt_loss import PKTLoss
from keras_kd.losses.quality_focal_loss import QualityFocalLoss
from keras_kd.losses.regression_loss import RegressionLoss
from keras_kd.losses.reverse_kd_loss import ReverseKDLoss
from keras_kd.losses.review_kd_loss import ReviewKDLoss
from keras_kd.losses.rkd_loss import RKDLoss
from keras_kd.losses.sim_kd_loss import SimKDLoss
from keras_kd.losses.soft_cross_entropy_loss import SoftCrossEntropyLoss
from keras_kd.losses.sp_loss import SPLoss
from keras_kd.losses.vid_loss import VIDLoss

__all__ = [
    "ABLoss",
    "ATLoss",
    "AttentionLoss",
    "BatchLoss",
    "BinaryKDLoss",
    "BoundedRegressionLoss",
    "CCLoss",
    "CRDLoss",
    "CTKDLoss",
    "CWDLoss",
    "ConcatFeatureLoss",
    "CosineFeatureLoss",
    "DISTLoss",
    "DKDLoss",
    "DistillationLoss",
    "FSPLoss",
    "FTLoss",
    "FitNetLoss",
    "GradientLoss",
    "HardLabelLoss",
    "HiddenStateLoss",
    "ICKDLoss",
    "JSDLoss",
    "KDLoss",
    "LogitStdLoss",
    "LogitsMSELoss",
    "MappedKDLoss",
    "MiniLMLoss",
    "NKDLoss",
    "NSTLoss",
    "OFDLoss",
    "PKDLoss",
    "PKTLoss",
    "QualityFocalLoss",
    "RKDLoss",
    "RegressionLoss",
    "ReverseKDLoss",
    "ReviewKDLoss",
    "SPLoss",
    "SimKDLoss",
    "SoftCrossEntropyLoss",
    "VIDLoss",
]
