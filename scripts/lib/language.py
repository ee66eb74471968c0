"""Which language a sentence is in (py3langid: naive Bayes over byte n-grams, after Lui and Baldwin 2012)."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from lib.job.command import InputError

LEAST_PROBABILITY = 0.02


@cache
def identifier() -> LanguageIdentifier:
    """The identifier, whose model comes with the package."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def check_language(code: str) -> None:
    """Check that a language can be told.

    Raises:
        InputError: the identifier does not know the code.
    """
    known = sorted(str(label) for label in identifier().labels)
    if code not in known:
        raise InputError(f"corpus.language: {code!r}, expected one of {', '.join(known)}, or null for any")


def may_be(code: str, sentence: str) -> bool:
    """Whether a sentence may be in a language: a short one, or a list of names, gets the benefit of the doubt."""
    return dict(identifier().rank(sentence)).get(code, 0.0) >= LEAST_PROBABILITY
