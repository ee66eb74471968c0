"""Transformers on disk, loaded whole or refused."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_PRETRAINING_MAPPING, MODEL_FOR_TEXT_ENCODING_MAPPING
from transformers.utils import logging

from lib.job.command import InputError, first_line
from lib.model_folder import check_folder

logging.disable_progress_bar()


def load_transformer(folder: Path, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a transformer and its tokenizer, with the attention that transformers chooses for the architecture.

    Of T5 and its like, an encoder and a decoder, the encoder.

    Raises:
        InputError: the folder holds no transformer with safetensors weights and a tokenizer, or not all of its weights.
    """
    check_folder(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        auto = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
        model = load_whole(auto, folder, dtype=dtype)
    except InputError:
        raise
    except Exception as error:  # each library raises its own kinds for a damaged file
        raise InputError(f"transformer {folder}: cannot be loaded: {first_line(error)}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(
            f"transformer {folder}: expected a tokenizer of the library tokenizers, found {kind(tokenizer)}"
        )
    tokens, rows = len(tokenizer), model.get_input_embeddings().num_embeddings
    if tokens > rows:
        raise InputError(f"transformer {folder}: expected an embedding of each of {tokens} tokens, found {rows}")
    return model, tokenizer


def kind(thing: object) -> str:
    """The name of an object's class."""
    return type(thing).__name__


def load_whole(model_class: Any, folder: Path, **settings: Any) -> PreTrainedModel:
    """Load a transformer whose weights are all in the folder; the pooler's, which nothing here reads, may be missing.

    Weights that are missing or of another shape transformers draws at random, anew in each process. Those that the
    model has no place for are the head of a training task, which is left out, or a sign that it is the wrong model.

    Args:
        model_class: one of transformers' classes.
        folder: with ``config.json`` and ``model.safetensors``.
        settings: further arguments of ``from_pretrained``.

    Raises:
        InputError: a weight is missing, of another shape, or has no place in the model or the head of its training.
    """
    model, info = model_class.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **settings
    )
    constants = [name for name, _ in model.named_buffers()]  # which older checkpoints hold too: the positions' numbers
    unexpected = {key for key in info["unexpected_keys"] if not any(f".{key}".endswith(f".{c}") for c in constants)}
    if unexpected:
        unexpected -= names_with_head(model)
    problems = {
        "is missing": set(info["missing_keys"]),
        "is of another shape": {key for key, *_ in info["mismatched_keys"]},
        "has no place in the model": unexpected,
    }
    for problem, keys in problems.items():
        weights = sorted(key for key in keys if "pooler" not in key.split("."))
        if weights:
            raise InputError(
                f"transformer {folder}: expected the weights of a {kind(model)} as config.json describes it, "
                f"found that {weights[0]} {problem}, and {len(weights) - 1} others"
            )
    return model


def names_with_head(model: PreTrainedModel) -> set[str]:
    """The weights of a model as it was trained: of the class that its config names, and of its kind's pretraining."""
    config = model.config
    classes = [getattr(transformers, name, None) for name in config.architectures or []]
    classes.append(MODEL_FOR_PRETRAINING_MAPPING.get(type(config), None))
    names: set[str] = set()
    for each in filter(None, classes):
        with torch.device("meta"):
            names |= set(each(config).state_dict())
    return names


def positions_of(model: PreTrainedModel) -> int | None:
    """Tokens of the longest text that a model has positions for; none where they are relative.

    RoBERTa and its like count from behind the padding token's number, and so have fewer than there are rows.
    """
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if isinstance(table, torch.nn.Embedding):
        return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    positions = getattr(model.config, "max_position_embeddings", None)
    return positions if positions and positions > 0 else None  # XLNet says -1
