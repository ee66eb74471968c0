"""A teacher's own sentence-transformers pipeline, compared with how the teacher is used here."""

import copy
from pathlib import Path

import numpy as np

from lib.job.command import InputError, first_line
from lib.model_folder import pickled_weights
from lib.teacher import LEAST_COSINE, Teacher, cosines

TEXTS = ["A sentence.", "Another SENTENCE, of a few more Words than the first has!"]
FITTING = {"mean": "mean", "mean-with-special": "mean", "cls": "cls", "last": "lasttoken"}  # its name of each pooling
WITHOUT_EFFECT = ("Transformer", "Pooling", "Normalize", "Dropout")  # on the cosines of the vectors


def compare_with_own(teacher: Teacher, folder: Path) -> list[str]:
    """Compare a teacher with the pipeline in its folder, if ``modules.json`` is there.

    Another pooling, prompt or last layer than the pipeline's can be meant, so each of them is a note. Special tokens
    are left out of a ``mean`` on purpose, so this is no difference.

    Args:
        teacher: loaded from the folder, on the CPU.
        folder: of the teacher; no code in it runs.

    Returns:
        A sentence for each difference.

    Raises:
        InputError: the pipeline gives other vectors of tokens: it reads text in another way.
    """
    if not (folder / "modules.json").is_file():
        return []
    if pickled := pickled_weights(folder):
        return [f"its own pipeline was not compared, because the weights in {pickled} can hold code"]
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    weights = {"use_safetensors": True, "dtype": teacher.model.dtype}
    try:
        own = SentenceTransformer(
            str(folder), device="cpu", trust_remote_code=False, local_files_only=True, model_kwargs=weights
        )
        if not isinstance(own[0], Transformer):
            return [f"its own pipeline begins with {type(own[0]).__name__} and was not compared"]
        theirs = [
            own.encode(text, prompt=teacher.prompt, output_value="token_embeddings").float().mean(0) for text in TEXTS
        ]  # one by one, without padding
    except Exception as error:  # each module fails in its own way
        reason = first_line(error).replace(str(folder), "the folder")
        return [f"its own pipeline does not run and was not compared: {reason}"]
    reader = copy.copy(teacher)
    reader.pooling = "mean-with-special"
    least = cosines(reader.vectors(TEXTS), np.stack(theirs)).min()
    if least < LEAST_COSINE:
        raise InputError(
            f"teacher {folder}: expected the vectors of tokens that its own sentence-transformers pipeline gives, "
            f"found a cosine of {least:.3f}: the pipeline reads text in another way"
        )
    poolings = [module for module in own if isinstance(module, Pooling)]
    notes = [
        f"its own pipeline pools by {module.pooling_mode}, this run by {teacher.pooling}"
        for module in poolings
        if module.pooling_mode != FITTING[teacher.pooling]
    ]
    names = [type(module).__name__ for module in own]
    notes += [f"its own pipeline has a layer {name}, which is left out" for name in names if name not in WITHOUT_EFFECT]
    usual = own.prompts.get(own.default_prompt_name or "", "")
    known = dict.fromkeys(prompt for prompt in [usual, *own.prompts.values()] if prompt)
    if teacher.prompt not in (known if usual or teacher.prompt else [""]):
        prompts = ", ".join(map(repr, known)) or "none"
        notes.append(f"its own pipeline has the prompts {prompts}, this run {teacher.prompt!r}")
    if teacher.prompt and not all(module.include_prompt for module in poolings):
        notes.append("its own pipeline leaves the prompt out of the mean, here it is part of it")
    return notes
