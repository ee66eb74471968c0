"""BERT's tokenizer with fewer passes gives the same tokens."""

import random

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer, Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer, WhitespaceSplit

from lib.bert_tokenizer import CHARACTERS, with_fewer_passes

ODD = "E\u0301 e\u20dd\u0301 \u5b57\u0301 \uf900 \uac00 \u0130 \u1e9e \u037e \r\n \u200d \x00 \x85 \u2000 . - ] ^ \\"


def bert(**changes: bool | None) -> Tokenizer:
    """A tokenizer of BERT's kind with few tokens."""
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "the": 1, "river": 2, "##s": 3}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(**changes), BertPreTokenizer()
    tokenizer.add_special_tokens(["[UNK]"])
    return tokenizer


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    """What the tokenizer looks up in its vocabulary."""
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


@pytest.fixture(scope="module")
def hostile() -> list[str]:
    """Each character of the first two planes in a word and before a mark, random mixtures, and very long words."""
    chance = random.Random(0)
    blocks = [CHARACTERS[start : start + 256] for start in range(0, 0x1F800, 256)]
    each = [" ".join(f"a{one}b{one}\u0301" for one in block) for block in blocks]
    mixed = ["".join(chance.choice(chance.choice([ODD, ODD, CHARACTERS])) for _ in range(40)) for _ in range(3000)]
    return [*each, *mixed, "", "word" * 100_000, "." * 10_000]


@pytest.mark.parametrize("changes", [{}, {"lowercase": False, "clean_text": False}])
def test_any_text_has_the_same_words(hostile, changes):
    before = bert(**changes)
    after = Tokenizer.from_str(with_fewer_passes(before).to_str())
    assert not isinstance(after.pre_tokenizer, BertPreTokenizer)
    for text in hostile:
        assert words(after, text) == words(before, text)


def test_tokens_are_the_same_at_the_same_places():
    text = "[UNK] The riv\u200der\x00s, the\u00a0R\u00edVER\u5b57river[UNK]the [unk] xyz"
    before, after = (tokenizer.encode(text) for tokenizer in (bert(), with_fewer_passes(bert())))
    assert before.tokens.count("river") == 3
    assert (after.tokens, after.offsets) == (before.tokens, before.offsets)


def test_another_tokenizer_stays_as_it_is():
    lower, split, normalized = bert(), bert(), bert()
    lower.normalizer, split.pre_tokenizer = Lowercase(), WhitespaceSplit()
    normalized.add_tokens([AddedToken("the river", normalized=True)])
    for tokenizer in (lower, split, normalized):
        assert with_fewer_passes(tokenizer).to_str() == tokenizer.to_str()
