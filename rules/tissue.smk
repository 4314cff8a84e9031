# From slides to patch coordinates: scale, tissue, grid.
rule segment_tissue:
    input:
        slide=slide_path,
        own=lambda wildcards: SLIDES[wildcards.slide].tissue_path or [],
    output:
        metadata="results/slides/{slide}/metadata.json",
        tissue="results/slides/{slide}/tissue.geojson",
        overlay="results/slides/{slide}/overlay.jpg",
    log:
        "results/logs/segment_tissue/{slide}.log",
    benchmark:
        "results/benchmarks/segment_tissue/{slide}.tsv"
    priority: SOON
    conda:
        "../envs/slides.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=grow(15),
    params:
        script=script("segment_tissue"),
        code=code("segment_tissue"),
        settings=lambda wildcards: as_json(
            {
                **plan.slide_spacings(CONFIG, SLIDES[wildcards.slide]),
                "tissue": plan.tissue_settings(CONFIG),
                "file_bytes": file_bytes(SLIDES[wildcards.slide].path),
            }
        ),
        on_bad_slide=ON_BAD_SLIDE,
    shell:
        "python {params.script:q} --slide={wildcards.slide:q} --file={input.slide:q} --own-tissue {input.own:q}"
        " --settings={params.settings:q} --on-bad-slide={params.on_bad_slide} --metadata={output.metadata:q} --tissue={output.tissue:q}"
        " --overlay={output.overlay:q} > {log:q} 2>&1"


rule tile_slide:
    input:
        metadata="results/slides/{slide}/metadata.json",
        tissue="results/slides/{slide}/tissue.geojson",
        # Pixels are looked at only to judge their quality.
        slide=lambda wildcards: slide_path(wildcards) if CONFIG["tilings"][wildcards.tiling]["quality"] else [],
    output:
        "results/tiles/{tiling}/{slide}.h5",
    log:
        "results/logs/tile_slide/{tiling}/{slide}.log",
    benchmark:
        "results/benchmarks/tile_slide/{tiling}/{slide}.tsv"
    priority: SOON
    conda:
        "../envs/slides.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=grow(60),
    params:
        script=script("tile_slide"),
        code=code("tile_slide"),
        settings=lambda wildcards: as_json(plan.tiling_settings(CONFIG, wildcards.tiling)),
        on_bad_slide=ON_BAD_SLIDE,
    shell:
        "python {params.script:q} --file {input.slide:q} --metadata={input.metadata:q} --tissue={input.tissue:q}"
        " --settings={params.settings:q} --on-bad-slide={params.on_bad_slide} --output={output:q} > {log:q} 2>&1"
