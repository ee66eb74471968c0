"""Files beside a model's ``tokenizer.json`` that fastembed, transformers and transformers.js look for."""

import json
from pathlib import Path

from lib.job.files import write_json


def write_tokenizer_files(tokenizer: Path, max_tokens: int | None, folder: Path) -> None:
    """Write ``tokenizer_config.json``, ``special_tokens_map.json`` and, for word pieces, ``vocab.txt``.

    Args:
        tokenizer: the model's ``tokenizer.json``.
        max_tokens: the number of tokens after which a text is cut; with None it is not.
        folder: an existing folder.
    """
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    model, padding = content["model"], content["padding"]
    unknown = model.get("unk_token")
    if unknown is None and model.get("unk_id") is not None:  # Unigram's vocabulary is a list
        unknown = model["vocab"][model["unk_id"]][0]
    # a mask hides padding from the model, so any token will do
    special = {"pad_token": padding["pad_token"] if padding else unknown, "unk_token": unknown}
    special = {name: token for name, token in special.items() if token is not None}
    write_json(folder / "special_tokens_map.json", special)
    # the class of this name is in each version of transformers
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_tokens or 2**31 - 1,
    }
    write_json(folder / "tokenizer_config.json", config | special)
    if model["type"] == "WordPiece":
        tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
