"""The figures that a configuration asks for: which files, and the slice of the config behind them."""

from histossl.config import plan
from histossl.config.plan import Config

FOLDER = "results/figures"


def map_settings(config: Config) -> dict[str, float]:
    """What decides a map of patch features, beside the features."""
    return dict(config["figures"]["feature_map"])


def feature_maps(config: Config) -> list[str]:
    """A map for each encoder and patch data set that a patch task uses, without suffix."""
    parts = [path.removesuffix(".h5").split("/") for path in plan.all_patch_features(config)]
    return [f"{FOLDER}/feature_maps/{dataset}/{encoder}" for _, _, encoder, _, dataset in parts]


def training_curves(config: Config) -> list[str]:
    """The curves of each encoder trained here, and all beside each other where there are several."""
    names = plan.pretrained_encoders(config)
    return [f"{FOLDER}/training/{name}" for name in names] + [f"{FOLDER}/training"] * (len(names) > 1)


def fraction_curves(config: Config) -> list[str]:
    """A figure for each head of the slide tasks that have several training fractions."""
    return [
        f"{FOLDER}/fractions/{name}/{model}"
        for name, task in config["slide_tasks"].items()
        for model in task["models"]
        if len(plan.fractions(config, name)) > 1
    ]


def table_kinds(config: Config) -> list[str]:
    """The kinds of tables that compare encoders and are made at all."""
    return [kind for kind, files in plan.predictions(config).items() if files]


def forest_plots(config: Config) -> list[str]:
    """A figure for each kind of table and each of its tasks."""
    kinds = table_kinds(config)
    return [f"{FOLDER}/forest/{kind}/{task}" for kind in kinds for task in plan.table_tasks(config, kind)]


def cost_plots(config: Config) -> list[str]:
    """A figure for each task, of the first kind of table that has it."""
    found: dict[tuple[bool, str], str] = {}
    for kind in table_kinds(config):
        for task in plan.table_tasks(config, kind):
            # A slide task and a patch task may share a name.
            found.setdefault((kind == "slide", task), f"{FOLDER}/cost/{kind}/{task}")
    return list(found.values())


def rank_plots(config: Config) -> list[str]:
    """The diagram of ranks over tasks, where there are several."""
    several = len(config["slide_tasks"]) + len(config["patch_tasks"]) > 1
    return [f"{FOLDER}/critical_difference"] * several


def figures(config: Config) -> list[str]:
    """All figures, as SVG and PNG."""
    asked = (feature_maps, training_curves, fraction_curves, forest_plots, cost_plots, rank_plots)
    return [f"{name}.{suffix}" for kind in asked for name in kind(config) for suffix in ("svg", "png")]


def encoder_files(config: Config) -> dict[str, dict[str, str]]:
    """By encoder, where its network and its training curve are; empty for what there is not."""
    trained, imported = plan.pretrained_encoders(config), plan.imported_encoders(config)
    return {
        name: {
            "encoder": "" if name in imported else f"results/encoders/{name}/encoder.pt",
            "curve": f"results/encoders/{name}/training.jsonl" if name in trained else "",
        }
        for name in config["encoders"]
    }
