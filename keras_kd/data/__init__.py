"""Data sets in one form for the demo, the benchmarks and the notebooks."""

from keras_kd.data.audio_data import AudioData as AudioData
from keras_kd.data.balanced_classes import balanced_classes as balanced_classes
from keras_kd.data.blood_cells import blood_cells as blood_cells
from keras_kd.data.box_data import BoxData as BoxData
from keras_kd.data.check_same_tokens import check_same_tokens as check_same_tokens
from keras_kd.data.decode_locations import decode_locations as decode_locations
from keras_kd.data.digit_pairs import digit_pairs as digit_pairs
from keras_kd.data.digits import digits as digits
from keras_kd.data.ellipse_mask import ellipse_mask as ellipse_mask
from keras_kd.data.image_classification import image_classification as image_classification
from keras_kd.data.image_data import ImageData as ImageData
from keras_kd.data.image_folder import image_folder as image_folder
from keras_kd.data.in_class_order import in_class_order as in_class_order
from keras_kd.data.location_targets import location_targets as location_targets
from keras_kd.data.locations import locations as locations
from keras_kd.data.long_tail import long_tail as long_tail
from keras_kd.data.mirrored import mirrored as mirrored
from keras_kd.data.pad_tags import pad_tags as pad_tags
from keras_kd.data.spoken_digits import spoken_digits as spoken_digits
from keras_kd.data.text_classification import text_classification as text_classification
from keras_kd.data.text_data import TextData as TextData
from keras_kd.data.token_classification import token_classification as token_classification
from keras_kd.data.token_data import TokenData as TokenData
from keras_kd.data.word_numbers import WordNumbers as WordNumbers
from keras_kd.data.word_pieces import word_pieces as word_pieces
