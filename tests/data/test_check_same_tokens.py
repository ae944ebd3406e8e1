import keras
import pytest

from keras_kd.data import check_same_tokens

TEXTS = ["the cat sat", "a dog", "the dog sat on a cat"]
WORDS = ["the", "cat", "sat", "a", "dog", "on"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def vectorization(words=WORDS, length=8):
    return keras.layers.TextVectorization(vocabulary=words, output_sequence_length=length)


def bert(vocabulary, length=8):
    keras_hub = pytest.importorskip("keras_hub")
    tokenizer = keras_hub.models.BertTokenizer(vocabulary)
    return keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=length)


def test_equal_tokenizers_pass():
    check_same_tokens(vectorization(), vectorization(), TEXTS)
    check_same_tokens(bert(SPECIAL + WORDS), bert(SPECIAL + WORDS), TEXTS)
    check_same_tokens(len_of_words, len_of_words, TEXTS)


def len_of_words(texts):
    """A tokeniser that is a plain function."""
    return keras.ops.convert_to_tensor([[len(text)] for text in texts])


def test_another_vocabulary_is_refused_with_the_first_text_that_shows_it():
    other = vectorization(["the", "cat", "sat", "a", "hound", "on"])
    message = r"2 of 3 texts differ, first 'a dog': teacher=\[5, 6, 0.*student=\[5, 1, 0"
    with pytest.raises(ValueError, match=message):
        check_same_tokens(vectorization(), other, TEXTS)


def test_other_special_tokens_are_refused():
    swapped = ["[PAD]", "[UNK]", "[SEP]", "[CLS]", "[MASK]"]
    with pytest.raises(ValueError, match=r"special tokens.*'start_token_id': 2.*_token_id': 3"):
        check_same_tokens(bert(SPECIAL + WORDS), bert(swapped + WORDS), TEXTS)


def test_words_beside_pieces_are_refused():
    with pytest.raises(ValueError, match=r"'vocabulary_size': 11.*'vocabulary_size': 8"):
        check_same_tokens(bert(SPECIAL + WORDS), vectorization(), TEXTS)


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match=r"as many tokens.*'ids': \(3, 8\).*'ids': \(3, 6\)"):
        check_same_tokens(vectorization(), vectorization(length=6), TEXTS)


def test_a_tokenizer_that_does_not_pad_is_told_apart():
    with pytest.raises(ValueError, match=r"ids of one length.*Received: function"):
        check_same_tokens(lambda texts: [[1], [1, 2]], vectorization(), TEXTS[:2])
