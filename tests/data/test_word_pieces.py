import numpy as np
import pytest

from keras_kd.data import word_pieces

keras_hub = pytest.importorskip("keras_hub")
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "lon", "##don", "the", "tower", "##s"]
SENTENCES = [["The", "London", "towers"], ["the"], ["\u0301", "the", "Eiffel"]]


@pytest.fixture(scope="module")
def tokenizer():
    return keras_hub.tokenizers.BertTokenizer(VOCABULARY, lowercase=True)


def test_the_first_piece_of_each_word_is_found(tokenizer):
    found = word_pieces(SENTENCES, tokenizer, 8, 4)
    np.testing.assert_array_equal(
        found["token_ids"],
        [[2, 7, 5, 6, 8, 9, 3, 0], [2, 7, 3, 0, 0, 0, 0, 0], [2, 1, 7, 1, 3, 0, 0, 0]],
    )
    np.testing.assert_array_equal(found["first_pieces"], [[1, 2, 4, 0], [1, 0, 0, 0], [1, 2, 3, 0]])
    np.testing.assert_array_equal(found["padding_mask"].sum(axis=1), [7, 3, 5])
    assert not found["segment_ids"].any()
    assert {values.dtype.name for values in found.values()} == {"int32"}


def test_rows_are_as_long_as_the_longest_sentence_unless_told(tokenizer):
    found = word_pieces(SENTENCES, tokenizer)
    assert found["token_ids"].shape == (3, 7)
    assert found["first_pieces"].shape == (3, 3)
    longer = word_pieces(SENTENCES, tokenizer, 9, 5)
    np.testing.assert_array_equal(longer["token_ids"][:, :7], found["token_ids"])


@pytest.mark.parametrize(("length", "words"), [(7, 3), (6, 2), (5, 2), (4, 1)])
def test_a_word_whose_pieces_do_not_all_fit_is_cut_off(tokenizer, length, words):
    found = word_pieces(SENTENCES[:1], tokenizer, length)
    assert (found["first_pieces"] > 0).sum() == words
    assert found["token_ids"][0, found["padding_mask"].sum() - 1] == 3  # [SEP] is there


def test_a_sentence_without_words_is_its_ends(tokenizer):
    found = word_pieces([[]], tokenizer, 4, 2)
    np.testing.assert_array_equal(found["token_ids"], [[2, 3, 0, 0]])
    np.testing.assert_array_equal(found["first_pieces"], [[0, 0]])


def test_a_row_without_room_for_a_piece_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"at least 3\. Received: length=2"):
        word_pieces(SENTENCES, tokenizer, 2)
