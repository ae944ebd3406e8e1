import numpy as np
import pytest

from keras_kd.data import WordNumbers

pytestmark = pytest.mark.core
SENTENCES = [["The", "Tower", "of", "London"], ["the", "london", "underground"], ["@anna99", "!!!"]]


def test_words_are_numbered_by_how_often_they_occur_whatever_their_letters():
    numbers = WordNumbers(SENTENCES, min_count=2)
    found = numbers([["LONDON", "the", "Tower"]])["words"]
    assert sorted(found[0, :2]) == [2, 3]
    assert found[0, 2] == 1  # it occurs once
    assert numbers.sizes["words"] == 4


def test_words_of_one_shape_or_one_ending_have_one_number():
    numbers = WordNumbers(SENTENCES, min_count=1)
    found = numbers([["London", "Tower", "Anderson", "OK", "@bea7", "...", "don"]])
    shapes, endings = found["shapes"][0], found["endings"][0]
    assert shapes[0] == shapes[1] == shapes[2] != shapes[6]
    assert shapes[4] == numbers([["@anna99"]])["shapes"][0, 0] > 1
    assert shapes[3] == shapes[5] == 1  # capitals alone, dots: no word was like this
    assert endings[0] == endings[6] > 1


def test_rows_are_padded_with_zeros_or_cut():
    numbers = WordNumbers(SENTENCES, min_count=1)
    sentences = [["the"], [], ["of", "the", "tower"]]
    for length, kept in ((None, 3), (5, 3), (2, 2)):
        found = numbers(sentences, length)
        assert set(found) == set(numbers.sizes) == {"words", "endings", "shapes"}
        for name, rows in found.items():
            assert rows.dtype == np.int32
            assert rows.shape == (3, length or 3)
            np.testing.assert_array_equal((rows > 0).sum(axis=1), [1, 0, kept])
            assert rows.max() < numbers.sizes[name]
