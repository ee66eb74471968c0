"""The tasks of MTEB(eng, v1) that the pipeline averages, known without importing mteb, which takes seconds."""

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
DEVELOPMENT = "-dev"  # at a task's name: what is chosen on, its validation split or a part of its training split
TYPE_OF = {task: task_type for task_type, tasks in BENCHMARK_TASKS.items() for task in tasks}
