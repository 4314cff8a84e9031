# From slides to patch coordinates: scale, tissue, grid. A job has a part of the cohort: one slide, or some of thousands.
# The files of single slides are not declared, as in features.smk: the job keeps those that are still valid.
rule segment_tissue:
    input:
        slides=lambda wildcards: [SLIDES[slide].path for slide in PARTS[wildcards.part]],
        own=lambda wildcards: [path for slide in PARTS[wildcards.part] if (path := SLIDES[slide].tissue_path)],
    output:
        "results/slides/batches/{part}.json",
    log:
        "results/logs/segment_tissue/{part}.log",
    benchmark:
        "results/benchmarks/segment_tissue/{part}.tsv"
    priority: SOON
    conda:
        "../envs/slides.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=slide_minutes(15, 1),
    params:
        script=script("each_slide"),
        work=script("segment_tissue"),
        code=code("segment_tissue"),
        slides=lambda wildcards: as_json(
            {slide: plan.segmented(CONFIG, SLIDES[slide]) for slide in PARTS[wildcards.part]}
        ),
        settings=as_json(plan.tissue_settings(CONFIG)),
        # Not used by the command: a repaired slide may be older than what was made of the broken one.
        bytes=lambda wildcards: as_json([file_bytes(SLIDES[slide].path) for slide in PARTS[wildcards.part]]),
        writes=as_json(
            {
                "metadata": "results/slides/*/metadata.json",
                "tissue": "results/slides/*/tissue.geojson",
                "overlay": "results/slides/*/overlay.jpg",
            }
        ),
        made="results/slides/*/made.json",
        on_bad_slide=ON_BAD_SLIDE,
    shell:
        "python {params.script:q} --script={params.work:q} --code={params.code} --slides={params.slides:q}"
        " --writes={params.writes:q} --made={params.made:q} --settings={params.settings:q} --manifest={output:q}"
        " -- --on-bad-slide={params.on_bad_slide} > {log:q} 2>&1"


rule tile_slide:
    input:
        "results/slides/batches/{part}.json",
    output:
        "results/tiles/{tiling}/batches/{part}.json",
    log:
        "results/logs/tile_slide/{tiling}/{part}.log",
    benchmark:
        "results/benchmarks/tile_slide/{tiling}/{part}.tsv"
    priority: SOON
    conda:
        "../envs/slides.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=slide_minutes(60, 2),
    params:
        script=script("each_slide"),
        work=script("tile_slide"),
        code=code("tile_slide"),
        # Pixels are looked at only to judge their quality.
        slides=lambda wildcards: as_json(
            slide_files(PARTS[wildcards.part])
            if CONFIG["tilings"][wildcards.tiling]["quality"]
            else {slide: {} for slide in PARTS[wildcards.part]}
        ),
        settings=lambda wildcards: as_json(plan.tiling_settings(CONFIG, wildcards.tiling)),
        reads=as_json(
            {
                "metadata": "results/slides/*/metadata.json",
                "tissue": "results/slides/*/tissue.geojson",
            }
        ),
        writes=lambda wildcards: as_json({"output": f"results/tiles/{wildcards.tiling}/*.h5"}),
        made=lambda wildcards: f"results/tiles/{wildcards.tiling}/made/*.json",
        on_bad_slide=ON_BAD_SLIDE,
    shell:
        "python {params.script:q} --script={params.work:q} --code={params.code} --slides={params.slides:q}"
        " --reads={params.reads:q} --writes={params.writes:q} --made={params.made:q} --settings={params.settings:q}"
        " --manifest={output:q} -- --on-bad-slide={params.on_bad_slide} > {log:q} 2>&1"
