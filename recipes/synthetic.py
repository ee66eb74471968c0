"""Write what recipes/tiny.yaml reads: a small random teacher, sentences of three topics, and two tasks over them."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import polars
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

TOPICS = {
    "sea": ["boat", "wave", "harbour", "sailor", "fish", "tide", "anchor", "storm", "island", "net"],
    "farm": ["field", "tractor", "wheat", "barn", "cow", "harvest", "plough", "seed", "rain", "fence"],
    "music": ["violin", "song", "concert", "drum", "choir", "melody", "piano", "singer", "note", "stage"],
}
FILLERS = ["the", "a", "near", "old", "quiet", "beside", "every", "small", "under", "bright"]


def synthetic_sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """``count`` different sentences, each with its topic."""
    chance = random.Random(seed)
    sentences: dict[str, str] = {}
    while len(sentences) < count:
        topic = chance.choice(list(TOPICS))
        words = [chance.choice(TOPICS[topic] if i % 2 else FILLERS) for i in range(chance.randint(5, 12))]
        sentences[" ".join(words).capitalize() + "."] = topic
    return list(sentences.items())


def write_teacher(folder: Path, hidden_size: int = 32, positions: int = 64) -> Path:
    """Write a randomly initialized BERT of two layers with a word piece tokenizer over the sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator([text for text, _ in synthetic_sentences(500)], vocab_size=300, min_frequency=1)
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


def topic_rows(sentences: list[tuple[str, str]]) -> Iterator[dict[str, str | int]]:
    """The rows of a classification: the sentences' topics, by turns in the splits train and test."""
    for i, (text, topic) in enumerate(sentences):
        yield {"text": text, "label": list(TOPICS).index(topic), "split": ["train", "test"][i % 2]}


def write_data(folder: Path) -> None:
    """Write a corpus, a classification (which topic?) and an STS task (of one topic?)."""
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    texts = [text for text, _ in synthetic_sentences(400)]
    (folder / "corpus" / "sentences.txt").write_text("\n\n".join(texts), encoding="utf-8")
    labelled = synthetic_sentences(120, seed=1)
    polars.DataFrame(list(topic_rows(labelled))).write_parquet(folder / "topics.parquet")
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence1", "sentence2", "score"])
        for (one, topic), (two, other) in zip(labelled[:60], labelled[60:], strict=True):
            writer.writerow([one, two, 5.0 if topic == other else 0.5])


if __name__ == "__main__":
    write_teacher(Path("synthetic/teacher"))
    write_data(Path("synthetic"))
