"""Small reference teachers and students for the demo, the benchmarks and the notebooks."""

from keras_kd.models.bert_classifier import bert_classifier as bert_classifier
from keras_kd.models.bert_tagger import bert_tagger as bert_tagger
from keras_kd.models.bilstm_tagger import bilstm_tagger as bilstm_tagger
from keras_kd.models.cnn import cnn as cnn
from keras_kd.models.cnn_tagger import cnn_tagger as cnn_tagger
from keras_kd.models.fcos import fcos as fcos
from keras_kd.models.mlp import mlp as mlp
from keras_kd.models.regression_mlp import regression_mlp as regression_mlp
from keras_kd.models.resnet import resnet as resnet
from keras_kd.models.speech_cnn import speech_cnn as speech_cnn
from keras_kd.models.speech_ds_cnn import speech_ds_cnn as speech_ds_cnn
from keras_kd.models.text_bilstm import text_bilstm as text_bilstm
from keras_kd.models.text_cnn import text_cnn as text_cnn
from keras_kd.models.text_transformer import text_transformer as text_transformer
from keras_kd.models.unet import unet as unet
from keras_kd.models.vision_transformer import vision_transformer as vision_transformer
from keras_kd.models.wide_resnet import wide_resnet as wide_resnet
