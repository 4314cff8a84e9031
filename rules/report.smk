# Pages of the report, which `snakemake --report` puts together: tables that can be sorted, what was spent, what it ran on.
# They follow from whatever else runs, in seconds, and no result follows from them.
RESULTS = [
    *plan.tables(CONFIG),
    *plan.cohort_pictures(CONFIG),
    *plan.view_pictures(CONFIG),
    *heatmap_files(CONFIG),
    *figures.figures(CONFIG),
    *attention.figures(CONFIG),
    *attention.tables(CONFIG),
    "results/tables/left_out.csv",
]
TABLES = plan.pages([*RESULTS, "results/tables/costs.csv"])
PAGES = [*(f"results/tables/{table}.html" for table in TABLES), "results/runs/runs.html"]
RECORDS = Path("results/runs")
STAGES = [rule.name for rule in workflow.rules if rule.benchmark]
# Where a table stands in the report, and what it is called there.
SHOWN = {
    "cohort": (COHORT, "Slides"),
    "left_out": (COHORT, "Slides left out"),
    "pretraining": (PRETRAINING, "Training runs"),
    "slide": (SLIDE_TASKS, "Slide tasks"),
    "study": (SLIDE_TASKS, "Beside the published study"),
    "classification": (PATCH_TASKS, "Classification"),
    "few_shot": (PATCH_TASKS, "Few-shot classification"),
    "regression": (PATCH_TASKS, "Regression"),
    "retrieval": (PATCH_TASKS, "Retrieval"),
    "attention": (ATTENTION, "What heads pick on drawn tissue"),
    "costs": (RUN, "What was spent"),
}


rule show_table:
    input:
        markdown="results/tables/{table}.md",
        csv=lambda wildcards: TABLES[wildcards.table],
    output:
        report(
            "results/tables/{table}.html",
            caption="../report/table.rst",
            category=lambda wildcards: SHOWN[wildcards.table][0],
            subcategory="Tables",
            labels=lambda wildcards: {"table": SHOWN[wildcards.table][1]},
        ),
    log:
        "results/logs/show_table/{table}.log",
    wildcard_constraints:
        table=any_of(TABLES),
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("show_table"),
        code=code("show_table"),
    shell:
        "python {params.script:q} --markdown={input.markdown:q} --csv {input.csv:q} --output={output:q} > {log:q} 2>&1"


# Benchmarks are no declared results: they count whenever a result is new.
rule summarise_costs:
    input:
        RESULTS,
    output:
        csv="results/tables/costs.csv",
        markdown="results/tables/costs.md",
        latex="results/tables/costs.tex",
    log:
        "results/logs/summarise_costs.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("summarise_costs"),
        code=code("summarise_costs"),
        stages=untracked(STAGES),
    shell:
        "python {params.script:q} --benchmarks=results/benchmarks --logs=results/logs --stages {params.stages:q}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} > {log:q} 2>&1"


# What a run ran with is written when it starts (see onstart), into a file that is neither input nor output: it would make
# results stale that are not.
rule show_runs:
    input:
        RESULTS,
    output:
        report(
            "results/runs/runs.html",
            caption="../report/runs.rst",
            category=RUN,
            subcategory="Runs",
            labels={"page": "Code, configuration, machines"},
        ),
    log:
        "results/logs/show_runs.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("show_runs"),
        code=code("show_runs"),
        records=RECORDS,
    shell:
        "python {params.script:q} --records={params.records:q} --logs=results/logs --output={output:q} > {log:q} 2>&1"
