# What the attention heads of encoders look at: their maps on some patches, figures of these, and on drawn tissue a number.
rule record_attention:
    input:
        encoder=lambda wildcards: attention.encoder_files(CONFIG, wildcards.encoder),
        source=lambda wildcards: attention.sources(CONFIG, wildcards.encoder),
        coords=lambda wildcards: tile_manifests(
            attention.tiling(CONFIG, wildcards.encoder), attention_slides(wildcards)
        ),
    output:
        [f"results/attention/{{encoder}}/{sample}.h5" for sample in attention.samples(CONFIG)],
    log:
        "results/logs/record_attention/{encoder}.log",
    benchmark:
        "results/benchmarks/record_attention/{encoder}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTE["embed_threads"]
    resources:
        mem_mb=grow(16000),
        runtime=grow(60),
    params:
        script=script("record_attention"),
        code=code("record_attention"),
        settings=lambda wildcards: as_json(attention.sample_settings(CONFIG, wildcards.encoder)),
        slides=lambda wildcards: [SLIDES[slide].path for slide in attention_slides(wildcards)],
        coords=lambda wildcards: [
            f"results/tiles/{attention.tiling(CONFIG, wildcards.encoder)}/{slide}.h5"
            for slide in attention_slides(wildcards)
        ],
        # Not used by the command: Snakemake does not look at the pictures that a sheet or a folder names.
        pictures=lambda wildcards: [hash_pictures(name) for name in attention.pictured(CONFIG, wildcards.encoder)],
    shell:
        "python {params.script:q} --name={wildcards.encoder:q} --encoder {input.encoder:q} --files {params.slides:q}"
        " --coords {params.coords:q} --settings={params.settings:q} --outputs {output:q} --threads={threads}"
        " > {log:q} 2>&1"


rule draw_attention:
    input:
        f"results/attention/{{encoder}}/{attention.SAMPLED}.h5",
    output:
        patches=report(
            "results/figures/attention/{encoder}/patches.svg",
            caption="../report/attention_patches.rst",
            category=ATTENTION,
            subcategory="Maps",
            labels={"encoder": "{encoder}", "figure": "maps of all heads on a few patches"},
        ),
        heads=report(
            "results/figures/attention/{encoder}/heads.svg",
            caption="../report/attention_heads.rst",
            category=ATTENTION,
            subcategory="Maps",
            labels={"encoder": "{encoder}", "figure": "patches that each head singles out"},
        ),
        patches_png="results/figures/attention/{encoder}/patches.png",
        heads_png="results/figures/attention/{encoder}/heads.png",
    log:
        "results/logs/draw_attention/{encoder}.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("draw_attention"),
        code=code("draw_attention"),
        settings=as_json(attention.figure_settings(CONFIG)),
    shell:
        "python {params.script:q} --maps={input:q} --settings={params.settings:q} --patches {output.patches:q}"
        " {output.patches_png:q} --heads {output.heads:q} {output.heads_png:q} > {log:q} 2>&1"


if CONFIG["phantom"]:

    rule draw_components:
        output:
            "results/phantom/components.h5",
        log:
            "results/logs/draw_components.log",
        localrule: True
        conda:
            "../envs/slides.yaml"
        params:
            script=script("draw_components"),
            code=code("draw_components"),
            settings=as_json(CONFIG["phantom"]["patches"]),
        shell:
            "python {params.script:q} --settings={params.settings:q} --output={output:q} > {log:q} 2>&1"

    rule score_attention:
        input:
            maps=attention.scored_maps(CONFIG),
            components="results/phantom/components.h5",
        output:
            csv="results/tables/attention.csv",
            markdown="results/tables/attention.md",
            latex="results/tables/attention.tex",
        log:
            "results/logs/score_attention.log",
        localrule: True
        conda:
            "../envs/evaluation.yaml"
        params:
            script=script("score_attention"),
            code=code("score_attention"),
        shell:
            "python {params.script:q} --maps {input.maps:q} --components={input.components:q} --csv={output.csv:q}"
            " --markdown={output.markdown:q} --latex={output.latex:q} > {log:q} 2>&1"
