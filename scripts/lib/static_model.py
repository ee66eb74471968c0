"""Static models: model2vec folders on disk, their tokens and sentence embeddings."""

from itertools import chain
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from lib.job.command import InputError, first_line
from lib.job.files import check_hashes, replacing, write_hashes

SENTENCES_AT_ONCE = 10_000

# reports on how a model was made
REPORTS = ["training.json", "derivation.json", "quantization.json"]


def load_static_model(folder: Path) -> StaticModel:
    """Load a static model: a model2vec folder, or the weights and tokenizer that the wordllama package ships.

    Raises:
        InputError: the folder holds neither, a file in it has changed since it was written, or a token has no vector or
            one that is not finite.
    """
    check_hashes(Path(folder), required=False)
    model = read_static_model(Path(folder))
    vectors, last = len(model.embedding), max(model.tokenizer.get_vocab().values(), default=0)
    rows = np.arange(vectors) if model.token_mapping is None else model.token_mapping
    tokens = len(rows) if model.weights is None else min(len(rows), len(model.weights))
    if last >= tokens or rows.min() < 0 or rows.max() >= vectors:
        raise InputError(f"model {folder}: expected a vector for each token up to {last}, found {vectors} vectors")
    bad = np.flatnonzero(~np.isfinite(model.embedding).all(axis=1))
    if len(bad):
        raise InputError(f"model {folder}: row {bad[0]}: expected a finite vector, found NaN or infinity")
    return model


def load_stage(folder: Path) -> StaticModel:
    """Load a static model that this pipeline made.

    Raises:
        InputError: a file in it has changed since it was written.
    """
    check_hashes(Path(folder))
    return load_static_model(folder)


def read_static_model(folder: Path) -> StaticModel:
    """Read a static model's files, as ``load_static_model`` says."""
    try:
        if (folder / "weights").is_dir():
            (weights,) = (folder / "weights").glob("*.safetensors")
            (tokenizer,) = (folder / "tokenizers").glob("*.json")
            vectors = load_file(weights)["embedding.weight"].astype(np.float32)
            return StaticModel(vectors, Tokenizer.from_file(str(tokenizer)), normalize=True)
        if not (folder / "model.safetensors").is_file():
            raise InputError(f"model {folder}: expected the file model.safetensors, found none")
        return StaticModel.from_pretrained(folder, force_download=False)
    except InputError:
        raise
    except Exception as error:  # safetensors and tokenizers raise bare exceptions for damaged files
        raise InputError(f"model {folder}: cannot be loaded: {first_line(error)}") from error


def without_unknown(model: StaticModel) -> tuple[np.ndarray, np.ndarray | None]:
    """A model's vectors and weights, zero for the unknown and the padding token.

    model2vec ignores unknown tokens in a mean; other libraries include their vectors.

    Returns:
        ``[rows of the table, dimensions]``, and ``[tokens]`` or, without weights, None.
    """
    padding = model.tokenizer.padding
    ids = [model.unk_token_id, padding["pad_id"] if padding else None]
    rows = [i for i in ids if i is not None]
    if model.token_mapping is None:
        vectors = model.embedding.copy()
        vectors[rows] = 0
        return vectors, model.weights
    weights = model.weights.copy()
    weights[rows] = 0
    return model.embedding, weights


def save_static_model(model: StaticModel, folder: Path) -> None:
    """Write a model2vec folder, completely or not at all, without a model card."""
    from model2vec.persistence import save_pretrained

    vectors, weights = without_unknown(model)
    with replacing(folder) as temporary:
        save_pretrained(
            folder_path=temporary,
            embeddings=vectors,
            tokenizer=model.tokenizer,
            config=model.config,
            weights=weights,
            mapping=model.token_mapping,
            create_model_card=False,
        )
        if not np.issubdtype(model.embedding.dtype, np.floating):
            # modules.json is for sentence-transformers, which loads floating-point embeddings only
            (temporary / "modules.json").unlink()
        # safetensors writes files that only their owner can read; results may be shared by a group
        (temporary / "model.safetensors").chmod((temporary / "config.json").stat().st_mode)
        write_hashes(temporary)


def with_vectors(model: StaticModel, vectors: np.ndarray, weights: np.ndarray | None = None) -> StaticModel:
    """The same model with other vectors; its sentence embeddings have unit length.

    Args:
        model: what to change.
        vectors: ``[rows of its table, dimensions]`` float32.
        weights: other weights, ``[tokens]`` float32; the model's own by default.
    """
    return StaticModel(
        vectors,
        model.tokenizer,
        config={**model.config, "hidden_dim": int(vectors.shape[1])},
        normalize=True,
        weights=model.weights if weights is None else weights,
        token_mapping=model.token_mapping,
        max_length=model.max_length,
    )


def tokenize(model: StaticModel, sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of all sentences, flat, int32; and where each sentence begins (one longer: the end), int64."""
    parts, lengths = [], [0]
    for start in range(0, len(sentences), SENTENCES_AT_ONCE):
        ids = model.tokenize(sentences[start : start + SENTENCES_AT_ONCE])  # lists: all at once would take gigabytes
        lengths += map(len, ids)
        parts.append(np.fromiter(chain.from_iterable(ids), dtype=np.int32))
    return np.concatenate(parts), np.cumsum(lengths)
