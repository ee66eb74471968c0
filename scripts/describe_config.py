"""Describe the keys of a config, as a JSON Schema for editors and as a page for people."""

import argparse
import json
from pathlib import Path
from typing import Any

from lib.job.command import run
from lib.job.files import write_text
from lib.plan.config import read_config, value_at
from lib.plan.keys import Config, places

HEAD = """\
# The config

`config.yaml` has a value for each key except those keys of models and custom tasks that have a default below. An
overlay (`--configfile mine.yaml`, or `.json`) holds only what differs: its mappings are merged with those of
`config.yaml`, its lists replace them. Models, baselines, custom tasks and references are defined in mappings and
selected by lists: `build`, `evaluation.baselines`, `evaluation.tasks`, `evaluation.references`. A mistake is reported
in one line before any job starts.

`make docs` writes this page from [scripts/lib/plan/keys.py](../scripts/lib/plan/keys.py).
"""


def without_required(schema: Any) -> Any:
    """The JSON Schema without required keys, because an overlay has only some of the keys."""
    if isinstance(schema, dict):
        return {key: without_required(value) for key, value in schema.items() if key != "required"}
    return list(map(without_required, schema)) if isinstance(schema, list) else schema


def describe(schema: dict) -> str:
    """The values that a JSON Schema allows, in a few words."""
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            return " or ".join(dict.fromkeys(map(describe, schema[kind])))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    words = {"string": "text", "object": "mapping", "boolean": "`true` or `false`", "array": "list"}
    text = words.get(schema.get("type", "object"), str(schema.get("type")))
    if text == "list":
        return f"list of {describe(schema['items'])}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:,}" for key, sign in bounds.items() if key in schema]
    return " ".join([text, ", ".join(limits)]).strip()


def page(config: dict) -> str:
    """The page of all keys, in Markdown.

    Args:
        config: the content of config.yaml; the page shows its values.
    """
    schema = Config.model_json_schema()
    sections: dict[tuple[type, str], list[str]] = {}
    for model, place, name in places():
        above, _, key = place.rpartition(".")
        field = model.model_fields[name]
        if not field.description or above == "models.<name>.training":
            continue
        defined = schema if model is Config else schema["$defs"][model.__name__]
        entry = defined["properties"][key]
        chosen = "<" in place
        value = entry.get("default") if chosen else value_at(config, place)
        shown = "" if isinstance(value, dict | list) or (value is None and chosen) else json.dumps(value)
        shown = "see config.yaml" if len(shown) > 60 else f"`{shown}`" if shown else ""
        shown = f"default {shown}" if shown and chosen else shown
        meaning = field.description.replace("\n", " ").replace("|", "\\|")
        sections.setdefault((model, above), []).append(f"| `{key}` | {describe(entry)} | {shown} | {meaning} |")
    parts = [HEAD]
    for (model, above), rows in sections.items():
        title = f"`{above}`" if above else "The top level"
        parts += [
            f"## {title}\n",
            f"{model.__doc__}\n",
            "| Key | Value | In config.yaml | Meaning |",
            "|---|---|---|---|",
        ]
        parts += [*rows, ""]
    return "\n".join(parts)


def main(argv: list[str]) -> None:
    """Write the schema and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config.yaml")
    parser.add_argument("--schema", type=Path, required=True, help="the JSON Schema to write")
    parser.add_argument("--page", type=Path, required=True, help="the Markdown file to write")
    args = parser.parse_args(argv)
    schema = without_required(Config.model_json_schema())
    write_text(args.schema, json.dumps(schema, indent=2) + "\n")
    write_text(args.page, page(read_config(args.config)))


if __name__ == "__main__":
    run(main)
