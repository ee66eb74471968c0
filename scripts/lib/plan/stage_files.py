"""The files in a model's folder, by stage."""

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
