# Tables as CSV, Markdown and LaTeX: how training went, and what stored predictions say.
rule summarise_pretraining:
    input:
        curves=[f"results/encoders/{encoder}/training.jsonl" for encoder in plan.pretrained_encoders(CONFIG)],
        cards=[f"results/encoders/{encoder}/encoder.json" for encoder in plan.pretrained_encoders(CONFIG)],
    output:
        csv="results/tables/pretraining.csv",
        markdown="results/tables/pretraining.md",
        latex="results/tables/pretraining.tex",
    log:
        "results/logs/summarise_pretraining.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("summarise_pretraining"),
        code=code("summarise_pretraining"),
        encoders=plan.pretrained_encoders(CONFIG),
    shell:
        "python {params.script:q} --encoders {params.encoders:q} --cards {input.cards:q} --curves {input.curves:q}"
        " --csv={output.csv:q} --markdown={output.markdown:q} --latex={output.latex:q} > {log:q} 2>&1"


rule make_tables:
    input:
        predictions=lambda wildcards: plan.predictions(CONFIG)[wildcards.kind],
        cards=lambda wildcards: plan.cards(CONFIG, wildcards.kind),
    output:
        csv="results/tables/{kind}.csv",
        pairs="results/tables/{kind}_pairs.csv",
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
        sheet=Path(CONFIG["slides"]["sheet"]),
        # Not used by the command: the sheet itself is not tracked, because most of its columns matter elsewhere.
        patients=as_json(sorted([row.slide, row.patient] for row in SLIDES.values())),
        stains=lambda wildcards: as_json(table_stains(CONFIG, wildcards.kind)),
        settings=as_json(CONFIG["tables"]),
    shell:
        "python {params.script:q} --kind={wildcards.kind} --predictions {input.predictions:q} --cards {input.cards:q}"
        " --sheet={params.sheet:q} --controls={params.controls:q} --stains={params.stains:q}"
        " --settings={params.settings:q} --csv={output.csv:q} --pairs={output.pairs:q}"
        " --markdown={output.markdown:q} --latex={output.latex:q} > {log:q} 2>&1"


rule compare_study:
    input:
        **plan.study_predictions(CONFIG),
    output:
        csv="results/tables/study.csv",
        markdown="results/tables/study.md",
        latex="results/tables/study.tex",
    log:
        "results/logs/compare_study.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("compare_study"),
        code=code("compare_study"),
        published=lambda wildcards: PUBLISHED / f"{CONFIG['study']['published']}.yaml",
        # Not used by the command: Snakemake does not track a Path.
        figures=lambda wildcards: (PUBLISHED / f"{CONFIG['study']['published']}.yaml").read_text(encoding="utf-8"),
        study=as_json(CONFIG["study"]),
    shell:
        "python {params.script:q} --published={params.published:q} --study={params.study:q} --slide {input.slide:q}"
        " --classification {input.classification:q} --regression {input.regression:q} --csv={output.csv:q}"
        " --markdown={output.markdown:q} --latex={output.latex:q} > {log:q} 2>&1"
