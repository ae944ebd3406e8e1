import pytest

from keras_kd.data import TokenData

pytestmark = pytest.mark.core


def data(*sentences, split="train"):
    return TokenData("names", ("O", "B-person"), **{**EMPTY, split: sentences})


EMPTY = {"train": (), "validation": (), "test": ()}


def test_the_tags_that_have_names_are_counted():
    assert data((("Ada", "slept"), (1, 0))).num_tags == 2


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ((("Ada", "slept"), (1,)), "one tag for each word.*, with 2 words and 1 tags"),
        ((("Ada",), (2,)), r"from 0 to 1, those of \['O', 'B-person'\].*, with tag 2"),
        ((("Ada",), (-1,)), "from 0 to 1.*, with tag -1"),
    ],
)
def test_sentences_whose_tags_do_not_fit_are_refused(split, sentence, message):
    with pytest.raises(ValueError, match=message) as error:
        data((("fine",), (0,)), sentence, split=split)
    assert f"Received: sentence 1 of '{split}'" in str(error.value)
