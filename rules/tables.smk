# Tables as CSV, Markdown and LaTeX, from stored predictions alone.
rule make_tables:
    input:
        lambda wildcards: plan.predictions(CONFIG)[wildcards.kind],
    output:
        csv="results/tables/{kind}.csv",
        markdown="results/tables/{kind}.md",
        latex="results/tables/{kind}.tex",
    log:
        "results/logs/make_tables/{kind}.log",
    wildcard_constraints:
        kind=any_of(plan.predictions(CONFIG)),
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("make_tables"),
        code=code("make_tables"),
        controls=as_json(plan.controls(CONFIG)),
        settings=as_json(CONFIG["tables"]),
    shell:
        "python {params.script:q} --kind={wildcards.kind} --predictions {input:q} --controls={params.controls:q}"
        " --settings={params.settings:q} --csv={output.csv:q} --markdown={output.markdown:q}"
        " --latex={output.latex:q} > {log:q} 2>&1"


rule summarise_cohort:
    input:
        metadata=expand("results/slides/{slide}/metadata.json", slide=list(SLIDES)),
        tissue=expand("results/slides/{slide}/tissue.geojson", slide=list(SLIDES)),
        coords=COORDS,
    output:
        csv="results/tables/cohort.csv",
        markdown="results/tables/cohort.md",
        latex="results/tables/cohort.tex",
    log:
        "results/logs/summarise_cohort.log",
    localrule: True
    conda:
        "../envs/slides.yaml"
    params:
        script=script("summarise_cohort"),
        code=code("summarise_cohort"),
        sheet=Path(CONFIG["slides"]["sheet"]),
        # Not used by the command: the sheet itself is not tracked, because most of its columns matter elsewhere.
        patients=as_json([[row.slide, row.patient] for row in SLIDES.values()]),
        slides=lambda wildcards, input: Path(input.metadata[0]).parents[1],
        tiles=lambda wildcards, input: Path(input.coords[0]).parents[1],
        tilings=list(CONFIG["tilings"]),
    shell:
        "python {params.script:q} --sheet={params.sheet:q} --slides={params.slides} --tiles={params.tiles}"
        " --tilings {params.tilings} --csv={output.csv:q}"
        " --markdown={output.markdown:q} --latex={output.latex:q} > {log:q} 2>&1"
