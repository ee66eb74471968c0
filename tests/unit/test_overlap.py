"""Which sentences overlap with test texts."""

from lib.overlap import NGRAM, SHORTEST, TaskTexts, hash_texts, normalized_words, word_hashes

LONG = [f"word{i}" for i in range(30)]


def overlaps(tasks, sentences):
    texts = TaskTexts()
    for task, found in tasks.items():
        texts.add(task, [hash_texts(found)], len(found))
    return texts.overlaps(*word_hashes(map(normalized_words, sentences)))


def test_a_short_test_text_is_found_whole_inside_a_sentence_whatever_its_case_and_punctuation():
    tasks = {"A": ["A man plays the guitar."], "B": ["Nobody plays any other thing"]}
    sentences = ["Yesterday, a MAN plays: the guitar!", "A man plays the piano.", "plays the guitar a man"]
    assert overlaps(tasks, sentences) == {0: ["A"]}


def test_a_long_run_of_words_is_enough_and_a_shorter_one_is_not():
    tasks = {"A": [" ".join(LONG)]}
    sentences = [" ".join(["before", *LONG[7 : 7 + n], "after"]) for n in (NGRAM - 1, NGRAM)]
    assert overlaps(tasks, sentences) == {1: ["A"]}


def test_every_length_from_the_shortest_on_is_found():
    for length in range(SHORTEST, 30):
        text = " ".join(LONG[:length])
        assert overlaps({"A": [text]}, ["nothing here", f"so {text} indeed"]) == {1: ["A"]}


def test_a_run_does_not_cross_from_a_sentence_into_the_next():
    tasks = {"A": ["one two three four five six"]}
    assert overlaps(tasks, ["one two three", "four five six"]) == {}
    assert overlaps({"A": ["one two three", "four five six"]}, ["one two three four five six"]) == {}


def test_everyday_phrases_are_counted_and_not_sought():
    texts = TaskTexts()
    texts.add("A", [hash_texts(["thank you very much", ""]), hash_texts(["a b c d e"])], 3)
    assert texts.counts == {"A": {"texts": 3, "too_short_to_seek": 2}}
    assert texts.overlaps(*word_hashes([normalized_words("Oh, thank you very much indeed")])) == {}


def test_every_task_that_holds_the_text_is_named():
    tasks = {"A": ["a man plays the guitar"], "B": ["other words"], "C": ["A man plays the guitar"]}
    assert overlaps(tasks, ["a man plays the guitar"]) == {0: ["A", "C"]}


def test_no_tasks_no_overlaps():
    assert overlaps({}, ["a man plays the guitar", ""]) == {}
    assert overlaps({"A": []}, ["a man plays the guitar"]) == {}
