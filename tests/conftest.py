"""What several tests need: a small random teacher, texts and task tables, all made here."""

import random
from pathlib import Path

import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

TOPICS = {
    "sea": ["boat", "wave", "harbour", "sailor", "fish", "tide", "anchor", "storm", "island", "net"],
    "farm": ["field", "tractor", "wheat", "barn", "cow", "harvest", "plough", "seed", "rain", "fence"],
    "music": ["violin", "song", "concert", "drum", "choir", "melody", "piano", "singer", "note", "stage"],
}
FILLERS = ["the", "a", "near", "old", "quiet", "beside", "every", "small", "under", "bright"]


def made_sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """``count`` different sentences, each with its topic."""
    chance = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        topic = chance.choice(list(TOPICS))
        words = [chance.choice(TOPICS[topic] if i % 2 else FILLERS) for i in range(chance.randint(5, 12))]
        found[" ".join(words).capitalize() + "."] = topic
    return list(found.items())


def make_teacher(folder: Path, hidden_size: int = 32, positions: int = 64) -> Path:
    """Write a randomly initialized BERT of two layers with a word piece tokenizer over the made sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator([text for text, _ in made_sentences(500)], vocab_size=300, min_frequency=1)
    tokenizer.save_model(str(folder))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=300,
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=positions,
    )
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory) -> Path:
    """A small random teacher of 32 dimensions."""
    return make_teacher(tmp_path_factory.mktemp("teacher") / "teacher")


@pytest.fixture(params=["float32", "bfloat16"])
def precision(request, monkeypatch) -> str:
    """The precision of a transformer's layers, whatever this machine's processor has."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param == "bfloat16")
    return request.param


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """400 different sentences."""
    return [text for text, _ in made_sentences(400)]
