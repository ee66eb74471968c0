"""Identify the language of a sentence (py3langid: naive Bayes over byte n-grams, after Lui and Baldwin 2012)."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from lib.job.command import InputError

LEAST_PROBABILITY = 0.02


@cache
def identifier() -> LanguageIdentifier:
    """The identifier, whose model comes with the package."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def check_language(code: str) -> None:
    """Check that the identifier knows a language.

    Raises:
        InputError: it does not know the code.
    """
    known = sorted(str(label) for label in identifier().labels)
    if code not in known:
        raise InputError(f"corpus.language: {code!r}, expected one of {', '.join(known)}, or null for any")


def may_be(code: str, sentence: str) -> bool:
    """Whether a sentence may be in a language; doubtful ones, such as short sentences and lists of names, may."""
    return dict(identifier().rank(sentence)).get(code, 0.0) >= LEAST_PROBABILITY
