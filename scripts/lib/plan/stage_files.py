"""The stages of a model: their order, and the files of each."""

from collections.abc import Iterable

from lib.job.files import HASHES

MODEL_FILES = ["config.json", "model.safetensors", "tokenizer.json"]
STATIC_FILES = [*MODEL_FILES, "modules.json", HASHES]
TRAINED_FILES = [*STATIC_FILES, "training.json"]
INT8_FILES = [*MODEL_FILES, "quantization.json", HASHES]
# transformers.js looks for these names in a folder onnx
ONNX_FILES = {"float32": "model.onnx", "int8": "model_quantized.onnx"}
# all other stages are trained and have TRAINED_FILES
FILES = {
    "distilled": STATIC_FILES,
    "derived": [*STATIC_FILES, "derivation.json"],
    "int8": INT8_FILES,
    "float16": [*INT8_FILES, "modules.json"],
    "onnx": [*ONNX_FILES.values(), "onnx.json"],
}


def in_order(stages: Iterable[str]) -> list[str]:
    """Distinct stages in the order in which they are made."""

    def place(stage: str) -> float:
        fixed = {"distilled": 0, "tokenlearn": 0.5, "pretrained": 1, "derived": 999, "int8": 1000}
        return fixed[stage] if stage in fixed else 1 + int(stage.removeprefix("born-again-"))

    return sorted(set(stages), key=place)
