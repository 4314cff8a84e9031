# The configuration, the slide sheet, and the small functions that every rule file uses. No rules.
import json
import re
from functools import cache

from histossl.cohort.made import forget_untrue
from histossl.cohort.run_end import print_left_out
from histossl.cohort.run_start import check_places, check_slurm_run, record_unwatched
from histossl.config import attention, figures, plan
from histossl.config.check import DRAWN, check_config, check_study
from histossl.config.fingerprint import Entry, fingerprint_script
from histossl.config.heatmaps import heatmap_files, largest_fraction
from histossl.config.load import load_config
from histossl.config.phantom import read_specifications
from histossl.config.sheets import read_slide_sheet
from histossl.config.stains import table_stains
from histossl.errors import UserError
from histossl.heatmaps.slots import heatmap_slots
from histossl.patch_datasets.listing import fingerprint_pictures
from histossl.report.run_record import record_run


def explained(read, *arguments):
    """Call `read`; what the user can mend ends the run with one sentence."""
    try:
        return read(*arguments)
    except UserError as error:
        # Not a WorkflowError: that would print the lines of this file behind the sentence.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


CONFIG = explained(
    load_config,
    config,
    Path(workflow.basedir) / "config/schemas/config.schema.yaml",
    Path(workflow.basedir) / "config/presets",
)
SLIDES = explained(read_slide_sheet, CONFIG["slides"]["sheet"])
PUBLISHED = Path(workflow.basedir) / "config/published"
explained(check_config, CONFIG, SLIDES)
explained(check_study, CONFIG, PUBLISHED)
COMPUTE = CONFIG["compute"]
BATCHES = plan.batch_slides(SLIDES, CONFIG["features"]["slides_per_job"])
IMPORTED = {name: plan.feature_files(CONFIG, name, SLIDES) for name in plan.imported_encoders(CONFIG)}
TRAINED = explained(plan.trained_slides, CONFIG, SLIDES)
PACKED = plan.packed_slides(CONFIG, TRAINED)
PARTS = plan.part_slides(SLIDES, plan.left_out_by(CONFIG, SLIDES, TRAINED))
PART_OF = {slide: part for part, slides in PARTS.items() for slide in slides}
if workflow.is_main_process:
    forget_untrue(Path("results"))

# Training is the longest way through the workflow: what leads to it goes before what can wait.
SOON = 10
# Of the report, in the order of the pipeline: Snakemake sorts them by name.
COHORT, PRETRAINING, FEATURES, SLIDE_TASKS, PATCH_TASKS, ATTENTION, RUN = (
    f"{number} {name}"
    for number, name in enumerate(
        ("Cohort", "Pretraining", "Features", "Slide tasks", "Patch tasks", "Attention", "The run"), 1
    )
)


def category_of_kind(wildcards):
    """Of the report, for what is drawn from one kind of table."""
    return SLIDE_TASKS if wildcards.kind == "slide" else PATCH_TASKS


NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"


def any_of(names):
    """A wildcard constraint that lets through `names` alone."""
    return "|".join(re.escape(name) for name in sorted(names)) or r"(?!)"


wildcard_constraints:
    slide=r"[^/]+",
    tiling=NAME,
    encoder=NAME,
    dataset=NAME,
    task=NAME,
    model=NAME,
    part=r"[^/]+",
    fraction=any_of({name for task in CONFIG["slide_tasks"] for name in plan.fractions(CONFIG, task)}),
    batch=r"\d+",


def hash_pictures(dataset):
    """Fingerprint of a data set's pictures by name, size and date; a data set that the workflow draws needs none."""
    source = CONFIG["patch_datasets"][dataset]["source"]
    if source.startswith(DRAWN):
        return ""
    return explained(fingerprint_pictures, Path(source), plan.patch_layout(CONFIG, dataset))


def script(name):
    """A script's path. Snakemake does not track a Path, so that the repository may move."""
    return SCRIPTS / f"{name}.py"


@cache
def code(name, *entry):
    """Fingerprint of a script and the library modules it imports: a change of the code reruns the rule.

    `entry` is the one entry of a registry that the job uses, see `Entry`.
    """
    return fingerprint_script(SCRIPTS / f"{name}.py", Entry(*entry) if entry else None)


def as_json(value):
    """A slice of the config as one text: Snakemake compares parameters as a set, and would miss two that swap.

    Without `<`: Snakemake puts parameters into a script of the report, which a label with `</script>` would end.
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False).replace("<", "\\u003c")


def file_bytes(path):
    """A file's length: a slide repaired by a copy that keeps the old date is new too. 0 for what is drawn here."""
    return 0 if path.startswith(DRAWN) else Path(path).stat().st_size


def file_state(path):
    """A file's length and time of change: weights of one network all have one length."""
    status = Path(path).stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def untracked(value):
    """A parameter that reruns nothing when it changes: Snakemake does not track functions of resources."""
    return lambda wildcards, resources: value


# What is done with a bad slide is no part of the results of a good one, and only reading it tells which it is. So it goes
# for what is read from now on.
ON_BAD_SLIDE = untracked(CONFIG["slides"]["on_bad_slide"])


def tissue_manifests(slides):
    """What says that metadata and tissue of some slides are there."""
    return plan.manifests("slides", slides, PART_OF)


def tile_manifests(tiling, slides):
    """What says that the patches of some slides are placed."""
    return plan.manifests(f"tiles/{tiling}", slides, PART_OF)


def shard_manifests(tiling, slides):
    """What says that the patches of some slides are packed for training."""
    return plan.manifests(f"shards/{tiling}", slides, PART_OF)


def trained_shards(encoder):
    """What says that the patches an encoder is trained on are packed."""
    return shard_manifests(plan.pretrain_tiling(CONFIG, encoder), TRAINED[encoder])


def slide_files(slides):
    """The slide as the one argument of its own that a script gets, for each of some slides."""
    return {slide: {"file": SLIDES[slide].path} for slide in slides}


def slide_minutes(first, further):
    """Minutes for a part of the cohort; they grow with each retry."""
    return lambda wildcards, attempt: attempt * (first + further * (len(PARTS[wildcards.part]) - 1))


def imported_files(wildcards):
    """The feature files of a batch, of those slides that have one."""
    files = IMPORTED[wildcards.encoder]
    return [files[slide] for slide in BATCHES[wildcards.batch] if slide in files]


def attention_slides(wildcards):
    """The slides whose patches an encoder's attention is looked at on; none where those of a data set are."""
    return attention.slides(CONFIG, wildcards.encoder, SLIDES)


def first_imported_file(wildcards):
    """One file tells what all are like: another that changes leaves the card as it is."""
    files = IMPORTED[wildcards.encoder]
    return files[min(files)]  # not the sheet's first, whose order changes nothing


def judged_by(wildcards, name):
    """A file of the heads of a slide task that were trained on its largest fraction."""
    fraction = largest_fraction(CONFIG, wildcards.task)
    return f"results/slide_eval/{wildcards.task}/{wildcards.encoder}/{wildcards.model}/{fraction}/{name}"


def grow(amount):
    """A resource that grows with each retry."""
    return lambda wildcards, attempt: amount * attempt


def pretrain_nodes(nodes, gpus):
    """Resources of a job on `nodes` nodes with `gpus` GPUs on each: on several, one task of Slurm's on each."""
    if nodes == 1:
        return {"gpu": gpus}
    # `gpu` would be the sum over the nodes, which Slurm shares out as it likes; `mpi` lets the rule call srun itself.
    per_node = {"gres": f"gpu:{gpus}"} if gpus else {}
    return {"nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0, "mpi": "srun", **per_node}
