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
