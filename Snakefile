from snakemake.utils import min_version

min_version("9.27")


report: "report/workflow.rst"


include: "rules/common.smk"


pathvars:
    results=f"results/{config['run']}",
    logs=f"results/{config['run']}/logs",
    benchmarks=f"results/{config['run']}/benchmarks",
    sources=SOURCES,


include: "rules/resources.smk"
include: "rules/corpus.smk"
include: "rules/teacher.smk"
include: "rules/student.smk"
include: "rules/export.smk"
include: "rules/evaluate.smk"
include: "rules/plan.smk"
include: "rules/report.smk"


# a parameter of each rule: Snakemake compares times alone, and edited code may be older than what it makes, where it was
# unpacked or restored, or edited while the job ran
for each in workflow.rules:
    if code := code_of(each.input):
        each.set_params(code=code)


onstart:
    # a lock besides Snakemake's own, which --unlock removes even from an active run; the file's time is the run's start
    try:
        CLAIMS.append(claim(Path("results", config["run"])))
    except InputError as error:
        sys.exit(f"results: {error}")
    if late := end_future([Path("results", config["run"]), Path(SOURCES)]):
        print(f"results: {late} files had a time in the future; it is now the present one", file=sys.stderr)
    logger.addHandler(ShowProgress(PROGRESS))


onsuccess:
    PROGRESS.unlink(missing_ok=True)
    if makes_files():
        Path("results", config["run"], "unfinished.md").unlink(missing_ok=True)


onerror:
    PROGRESS.unlink(missing_ok=True)
    if makes_files():
        failed, current = failed_jobs(), current_scores()
        shell("{UNFINISHED} --failed {failed:q} --current {current:q} || true")


rule all:
    """The whole run: models, scores, summary, plots and release folders."""
    default_target: True
    input:
        family.run_files(),
        "<results>/ro-crate-metadata.json",
    localrule: True


rule downloads:
    """All downloads; C4 is not among them, because the rule sample_sentences streams it."""
    input:
        expand("<sources>/{slug}", slug=DOWNLOADS),
        [task_path(task) for task in family.used_tasks if task not in CUSTOM_TASKS],
    localrule: True


rule corpus:
    """The sampled sentences."""
    input:
        rules.sample_sentences.output,
    localrule: True


rule embeddings:
    """The teachers' embeddings of all sentences."""
    input:
        expand("<results>/{teacher}/{shard}.{ending}", teacher=TEACHERS, shard=SHARDS, ending=["npy", "json"]),
    localrule: True


rule models:
    """Every model at every stage."""
    input:
        family.model_files(),
    localrule: True


rule evaluate:
    """The score of every model, stage and baseline on every task."""
    input:
        family.result_files(),
        family.meta_files(),
    localrule: True


rule report:
    """The summary and the plots; `snakemake --report FILE` then combines them into one page."""
    input:
        "<results>/summary.md",
        "<results>/config.yaml",
        expand("<results>/plots/{plot}.svg", plot=family.plots()),
    localrule: True


rule release:
    """The release folder of each model."""
    input:
        expand("<results>/release/{model}/README.md", model=MODELS),
    localrule: True
