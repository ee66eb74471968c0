"""The tasks of MTEB(eng, v1) that the pipeline averages, listed here because importing mteb takes seconds."""

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
