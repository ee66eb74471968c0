"""Gather what a user takes away: a model as float32, with int8 in a folder of its own, or int8 alone; and its card."""

import argparse
import json
import shutil
from pathlib import Path

from lib.command import run
from lib.files import read_json, replacing

MEASURED = ["bytes", "float32_bytes", "clusters", "sentences", "cosine_change_max"]
MODEL_FILES = ["model.safetensors", "tokenizer.json", "config.json"]


def model_card(name: str, settings: dict, summary: dict, quantization: dict) -> str:
    """The model card, with the metadata block that model hubs read."""
    rows = [row for row in summary["averages"] if row["model"] == name or row["model"] in settings["baselines"]]
    categories = [key for key in rows[0] if key not in ("model", "stage")]
    table = ["| Model | Stage | " + " | ".join(categories) + " |", "|---|---|" + "---:|" * len(categories)]
    table += [f"| {r['model']} | {r['stage']} | " + " | ".join(f"{r[c]:.2f}" for c in categories) + " |" for r in rows]
    where = f'"path/to/{name}"'
    loads = ["from model2vec import StaticModel", "", f"model = StaticModel.from_pretrained({where})"]
    tags, clusters = ["embeddings", "static-embeddings", "model2vec"], ""
    origin = f"derived from {' and that from '.join(settings['from'])}, which was " if settings["from"] else ""
    if quantization["clusters"]:
        clusters = f", {quantization['clusters']:,} of them for all tokens, with a weight for each token"
    else:
        loads[-1] += "  # float32; sentence-transformers loads it too"
        loads += [f'model = StaticModel.from_pretrained({where}, subfolder="int8")  # a quarter of the size']
        tags += ["sentence-transformers"]
    return f"""---
library_name: model2vec
license: {settings["license"]}
tags: [{", ".join(tags)}]
---

# {name}

A static embedding model of {settings["dimensions"]} dimensions: each token is looked up in a table, and a sentence is
the mean of its tokens. It was {origin}distilled from `{settings["teacher"]}`, trained on
{settings["sentences"]:,} sentences of {" and ".join(f"`{source}`" for source in settings["corpus"])} with the seed
{settings["seed"]}, and taken at the stage {settings["stage"]}.

```python
{chr(10).join(loads)}
embeddings = model.encode(["It looks each token up in a table.", "And averages."])
```

## Scores

{settings["about"]} Avg is the mean of the category means.

{chr(10).join(table)}

## int8

{quantization["bytes"]:,} bytes instead of {quantization["float32_bytes"]:,} of the float32 vectors{clusters}; over
{quantization["sentences"]:,} sentences the cosine between the two is at least
{1 - quantization["cosine_change_max"]:.4f}.
"""


def main(argv: list[str]) -> None:
    """Write one model's release folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the model's name")
    parser.add_argument("--model", type=Path, help="the float32 model's folder; without it int8 stands alone")
    parser.add_argument("--int8", type=Path, required=True, help="the quantized model's folder")
    parser.add_argument("--summary", type=Path, required=True, help="summary.json")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: teacher, corpus, dimensions, seed…")
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    args = parser.parse_args(argv)
    card = model_card(
        args.name, args.settings, read_json(args.summary), read_json(args.int8 / "quantization.json", MEASURED)
    )
    with replacing(args.output) as folder:
        folders = {folder: args.model, folder / "int8": args.int8} if args.model else {folder: args.int8}
        for target, source in folders.items():
            target.mkdir()
            for name in [*MODEL_FILES, *(path.name for path in source.glob("modules.json"))]:
                shutil.copyfile(source / name, target / name)
        (folder / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    run(main)
