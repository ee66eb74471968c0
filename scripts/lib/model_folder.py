"""Quick checks of a model's folder, without loading the model."""

from pathlib import Path

from lib.job.command import InputError
from lib.job.files import read_json, sha256

HIDDEN_SIZE = ["hidden_size", "dim", "n_embd", "d_model"]  # the latter are DistilBERT's, GPT-2's and T5's


def check_folder(folder: Path, dimensions: int = 1) -> int:
    """Check that a folder holds a transformer with safetensors weights and a tokenizer; return its hidden size.

    Raises:
        InputError: a file is missing, or the hidden size is less than ``dimensions``.
    """
    folder = Path(folder)
    for name in ["config.json", "model.safetensors", "tokenizer.json"]:
        if not (folder / name).is_file():
            raise InputError(f"teacher {folder}: expected the file {name}, found none")
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise InputError(f"teacher {folder}/config.json: expected an object, found {type(config).__name__}")
    size = next((config[key] for key in HIDDEN_SIZE if key in config), None)
    if not isinstance(size, int):
        raise InputError(f"teacher {folder}/config.json: expected a number under hidden_size, found {size!r}")
    if dimensions > size:
        raise InputError(f"dimensions: {dimensions} requested, expected at most the {size} of the teacher {folder}")
    return size


def teacher_hashes(folder: Path) -> dict[str, str]:
    """The hashes of the files that a teacher is loaded from."""
    endings = {".json", ".txt", ".model", ".safetensors"}
    files = [path for path in sorted(folder.iterdir()) if path.suffix in endings and not path.name.startswith(".")]
    return {path.name: sha256(path) for path in files}


def check_unchanged(folder: Path, checked: Path) -> dict[str, str]:
    """Compare a teacher's files with the hashes that ``check_teacher.py`` wrote; return their hashes.

    Raises:
        InputError: a file is missing, has changed, or is new.
    """
    expected, files = read_json(checked, ["files"])["files"], teacher_hashes(folder)
    for name in sorted(expected.keys() | files.keys()):
        if expected.get(name) != files.get(name):
            raise InputError(f"teacher {folder}: {name} has changed since {checked} was written")
    return files


def pickled_weights(folder: Path) -> str | None:
    """The first file of weights that can hold code and has no safetensors beside it, as a path within the folder."""
    paths = sorted(Path(folder).rglob("pytorch_model.bin"))
    return next((str(p.relative_to(folder)) for p in paths if not any(p.parent.glob("model*.safetensors"))), None)


def is_static_model(folder: Path) -> bool:
    """Whether a folder holds a static model rather than a transformer."""
    config = Path(folder) / "config.json"
    return (Path(folder) / "weights").is_dir() or (config.is_file() and '"model2vec"' in config.read_text())


def weights_size(folder: Path) -> int:
    """Bytes of all safetensors files in a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*.safetensors"))
