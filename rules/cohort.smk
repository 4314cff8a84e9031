# What became of every slide: a table, contact sheets, and who was left out.
rule summarise_cohort:
    input:
        # Functions, because the report lists all inputs else, and takes names of slides for markup.
        lambda wildcards: tissue_manifests(SLIDES),
        lambda wildcards: [file for tiling in CONFIG["tilings"] for file in tile_manifests(tiling, SLIDES)],
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
        tilings=list(CONFIG["tilings"]),
    shell:
        "python {params.script:q} --sheet={params.sheet:q} --slides=results/slides --tiles=results/tiles"
        " --tilings {params.tilings} --csv={output.csv:q}"
        " --markdown={output.markdown:q} --latex={output.latex:q} > {log:q} 2>&1"


rule draw_cohort:
    input:
        lambda wildcards: tissue_manifests(SLIDES),
        lambda wildcards: tile_manifests(wildcards.tiling, SLIDES),
    output:
        # The first 99 pages, of 30 slides each: a report of all of a large cohort would be too large to open.
        report(
            directory("results/figures/cohort/{tiling}"),
            patterns=["page_0{page}.jpg"],
            caption="../report/cohort.rst",
            category=COHORT,
            subcategory="Contact sheets",
            labels={"tiling": "{tiling}", "page": "{page}"},
        ),
    log:
        "results/logs/draw_cohort/{tiling}.log",
    localrule: True
    conda:
        "../envs/slides.yaml"
    params:
        script=script("draw_cohort"),
        code=code("draw_cohort"),
        sheet=Path(CONFIG["slides"]["sheet"]),
        tiles="results/tiles/{tiling}",
    shell:
        "python {params.script:q} --sheet={params.sheet:q} --slides=results/slides --tiles={params.tiles:q}"
        " --output={output:q} > {log:q} 2>&1"


# Made last: a slide may turn out damaged only when its patches are read.
rule list_left_out:
    input:
        cohort="results/tables/cohort.csv",
        shards=lambda wildcards: [file for tiling in PACKED for file in shard_manifests(tiling, PACKED[tiling])],
        manifests=plan.all_slide_manifests(CONFIG, BATCHES),
    output:
        csv="results/tables/left_out.csv",
        markdown="results/tables/left_out.md",
    log:
        "results/logs/list_left_out.log",
    localrule: True
    conda:
        "../envs/slides.yaml"
    params:
        script=script("list_left_out"),
        code=code("list_left_out"),
        sheet=Path(CONFIG["slides"]["sheet"]),
        # Folders, because a command may not be longer than 128 kB.
        shards=lambda wildcards, input: sorted({Path(shard).parents[1] for shard in input.shards}),
        manifests=lambda wildcards, input: sorted({Path(manifest).parent for manifest in input.manifests}),
        batches=list(BATCHES),
    shell:
        "python {params.script:q} --sheet={params.sheet:q} --cohort={input.cohort:q} --shards {params.shards:q}"
        " --manifests {params.manifests:q} --batches {params.batches} --csv={output.csv:q} --markdown={output.markdown:q} > {log:q} 2>&1"
