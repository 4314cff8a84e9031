# The demo cohort, drawn where the config has a section `phantom`. Real cohorts skip this file.
if CONFIG["phantom"]:

    PHANTOM = explained(read_specifications, Path(CONFIG["phantom"]["specification"]), SLIDES)

    rule draw_slide:
        output:
            slide="results/phantom/slides/{slide}.svs",
            truth="results/phantom/truth/{slide}.npz",
        log:
            "results/logs/draw_slide/{slide}.log",
        benchmark:
            "results/benchmarks/draw_slide/{slide}.tsv"
        priority: SOON
        conda:
            "../envs/slides.yaml"
        resources:
            mem_mb=grow(1000),
            runtime=grow(10),
        params:
            script=script("draw_slide"),
            code=code("draw_slide"),
            specification=Path(CONFIG["phantom"]["specification"]),
            # Not used by the command: it makes an edit of one line redraw that slide alone.
            line=lambda wildcards: as_json(PHANTOM[wildcards.slide]),
            settings=as_json(CONFIG["phantom"]["slides"]),
        shell:
            "python {params.script:q} --specification={params.specification:q} --slide={wildcards.slide:q} --settings={params.settings:q}"
            " --slide-file={output.slide:q} --truth={output.truth:q} > {log:q} 2>&1"

    rule draw_patches:
        output:
            sheet="results/phantom/patches/patches.csv",
            images=directory("results/phantom/patches/images"),
        log:
            "results/logs/draw_patches.log",
        benchmark:
            "results/benchmarks/draw_patches.tsv"
        conda:
            "../envs/slides.yaml"
        resources:
            mem_mb=grow(1000),
            runtime=grow(10),
        params:
            script=script("draw_patches"),
            code=code("draw_patches"),
            settings=as_json(CONFIG["phantom"]["patches"]),
        shell:
            "python {params.script:q} --settings={params.settings:q} --sheet={output.sheet:q}"
            " --images={output.images:q} > {log:q} 2>&1"
