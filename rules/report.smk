# Report: results -> the summary table and the plots; `snakemake --report` gathers them into one page.
#
# needs  <results>/mteb/results/{model}/{stage}/{task}.json, <results>/models/{model}/{stage}/
# makes  <results>/summary.{csv,json,md,html}
#        <results>/plots/{stages,size,loss}.svg

PLOTS = ["stages", "size", "loss"]


def summary_settings():
    """What the summary says beside the results, as JSON."""
    settings = {
        "run": config["run"],
        "about": config["about"],
        "baselines": list(BASELINES),
        "custom_tasks": {n: {k: t[k] for k in ("type", "description")} for n, t in CUSTOM_TASKS.items() if n in TASKS},
        "released": {model: released_stage(model) for model in MODELS},
        "reference": config["reference"],
        "reference_about": config["reference_about"],
    }
    return json.dumps(settings)


rule summary:
    """Gather every result into one table."""
    input:
        script=script("summary"),
        lib=library("summary"),
        results=results_files(),
        models=[f"<results>/models/{model}/{stage}" for model, stage in STAGES],
        baselines=list(map(source_path, BASELINES.values())),
    output:
        csv="<results>/summary.csv",
        json="<results>/summary.json",
        markdown="<results>/summary.md",
        html=report(
            "<results>/summary.html",
            caption="../report/summary.rst",
            category="1. Scores",
            labels={"shows": "scores of every model and stage"},
        ),
    log:
        "<logs>/summary.log",
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=summary_settings(),
    shell:
        "python {input.script:q} --results {input.results:q} --models {input.models:q}"
        " --baselines {input.baselines:q} --settings {params.settings:q}"
        " --csv {output.csv:q} --json {output.json:q} --markdown {output.markdown:q} --html {output.html:q}"
        " 2>&1 | tee {log:q}"


rule plots:
    """Draw what each stage added, quality over size, and the loss curves."""
    input:
        script=script("plots"),
        lib=library("plots"),
        summary="<results>/summary.json",
        trainings=[stage_folder(model, stage) for model, stage in STAGES if stage not in ("distilled", "int8")],
    output:
        stages=report(
            "<results>/plots/stages.svg",
            caption="../report/stages.rst",
            category="2. Plots",
            labels={"shows": "what each stage added"},
        ),
        size=report(
            "<results>/plots/size.svg",
            caption="../report/size.rst",
            category="2. Plots",
            labels={"shows": "quality over size"},
        ),
        loss=report(
            "<results>/plots/loss.svg",
            caption="../report/loss.rst",
            category="2. Plots",
            labels={"shows": "loss curves"},
        ),
    log:
        "<logs>/plots.log",
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python {input.script:q} --summary {input.summary:q} --trainings {input.trainings:q}"
        " --stages {output.stages:q} --size {output.size:q} --loss {output.loss:q} 2>&1 | tee {log:q}"
