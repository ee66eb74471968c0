"""Transformers on disk, loaded with all of their weights or refused."""

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

    Of T5 and similar encoder-decoders, only the encoder is loaded.

    Raises:
        InputError: the folder holds no transformer with safetensors weights and a tokenizer, or weights are missing; or
            it is an encoder-decoder of another kind.
    """
    check_folder(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        auto = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel
        if auto is AutoModel and config.is_encoder_decoder:  # whose vectors would be the decoder's
            raise InputError(
                f"transformer {folder}: expected an encoder, a decoder, or an encoder-decoder like T5, "
                f"found {config.model_type}"
            )
        model = load_whole(auto, folder, dtype=dtype)
    except InputError:
        raise
    except Exception as error:  # each library raises its own kinds for a damaged file
        raise InputError(f"transformer {folder}: cannot be loaded: {first_line(error)}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(
            f"transformer {folder}: expected a fast tokenizer (library tokenizers), found {kind(tokenizer)}"
        )
    last, rows = max(tokenizer.get_vocab().values()), model.get_input_embeddings().num_embeddings
    if last >= rows:
        raise InputError(f"transformer {folder}: expected an embedding for each token up to {last}, found {rows}")
    return model, tokenizer


def kind(thing: object) -> str:
    """The name of an object's class."""
    return type(thing).__name__


def load_whole(model_class: Any, folder: Path, **settings: Any) -> PreTrainedModel:
    """Load a transformer, all of whose weights must be in the folder, except the pooler's, which is not used.

    transformers would initialize weights that are missing or of another shape at random. Weights without a place in the
    model belong to the head of a training task, which is left out, or show that it is the wrong model.

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
    constants = [name for name, _ in model.named_buffers()]  # older checkpoints hold buffers too, such as position ids
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
    """The weights of a model with its training head: of the class in its config, and of its pretraining class."""
    config = model.config
    classes = [getattr(transformers, name, None) for name in config.architectures or []]
    classes.append(MODEL_FOR_PRETRAINING_MAPPING.get(type(config), None))
    names: set[str] = set()
    for each in filter(None, classes):
        with torch.device("meta"):
            names |= set(each(config).state_dict())
    return names


def positions_of(model: PreTrainedModel) -> int | None:
    """The largest number of tokens that a model has positions for; None if positions are relative.

    RoBERTa and similar models number positions from after the padding token's id, so they have fewer than rows.
    """
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if isinstance(table, torch.nn.Embedding):
        return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    positions = getattr(model.config, "max_position_embeddings", None)
    return positions if positions and positions > 0 else None  # it is -1 for XLNet
