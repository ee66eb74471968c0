"""The types of tasks, and the tasks of MTEB(eng, v1), without importing mteb, which takes seconds."""

from typing import NamedTuple


class TaskType(NamedTuple):
    """A type of tasks: mteb's main score, and a custom table's columns of texts and of the label or score."""

    main_score: str
    texts: list[str]
    target: str

    @property
    def columns(self) -> list[str]:
        """The columns of a custom task's table, sorted."""
        return sorted([*self.texts, self.target])


# the categories of the averages, in their order; mteb has a class AbsTask<type> for each
TYPES = {
    "STS": TaskType("cosine_spearman", ["sentence1", "sentence2"], "score"),
    "Classification": TaskType("accuracy", ["text"], "label"),
    "PairClassification": TaskType("max_ap", ["sentence1", "sentence2"], "labels"),
}
CATEGORIES = list(TYPES)

BENCHMARK = "MTEB(eng, v1)"
BENCHMARK_TASKS = {
    "STS": [
        "BIOSSES",
        "SICK-R",
        "STS12",
        "STS13",
        "STS14",
        "STS15",
        "STS16",
        "STS17",
        "STS22",
        "STSBenchmark",
    ],
    "Classification": [
        "AmazonCounterfactualClassification",
        "AmazonPolarityClassification",
        "AmazonReviewsClassification",
        "Banking77Classification",
        "EmotionClassification",
        "ImdbClassification",
        "MTOPDomainClassification",
        "MTOPIntentClassification",
        "MassiveIntentClassification",
        "MassiveScenarioClassification",
        "ToxicConversationsClassification",
        "TweetSentimentExtractionClassification",
    ],
    "PairClassification": ["SprintDuplicateQuestions", "TwitterSemEval2015", "TwitterURLCorpus"],
}
DEVELOPMENT = "-dev"  # suffix of a task for development: its validation split, or a part of its training split
TYPE_OF = {task: task_type for task_type, tasks in BENCHMARK_TASKS.items() for task in tasks}
