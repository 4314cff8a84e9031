from histossl.config import attention
from histossl.config.attention import DRAWN, SAMPLED

CONFIG = {
    "phantom": {"patches": {}},
    "attention": {"source": None, "patches": 4, "searched": 200, "mass": 0.5, "seed": 1},
    "tilings": {"p64": {"stain": None}, "p32": {"stain": None}, "p16": {"stain": None}},
    "encoders": {
        "published_untrained": {"timm": {}},
        "dino_untrained": {"untrained": "dino"},
        "dino": {"pretrain": {"tiling": "p32"}},
        "published": {"timm": {}},
        "imported": {"features": {"folder": "features"}},
    },
    "patch_datasets": {"crc": {"source": "crc.csv", "layout": None, "stain": None}},
    "slide_tasks": {"subtype": {"tiling": "p16", "encoders": ["published", "imported"]}},
}
SHOWN = {**CONFIG, "attention": {**CONFIG["attention"], "source": "crc:held out"}}
SLIDES = [f"s{number}" for number in range(100)]


def test_an_encoder_is_looked_at_on_patches_as_it_is_used_on():
    wanted = {"dino": "p32", "dino_untrained": "p32", "published": "p16", "published_untrained": "p64"}
    assert {name: attention.tiling(CONFIG, name) for name in wanted} == wanted


def test_slides_are_drawn_by_the_seed_and_a_new_one_changes_one_at_most():
    chosen = attention.slides(CONFIG, "dino", SLIDES)
    assert len(set(chosen)) == attention.SLIDES
    assert attention.slides(CONFIG, "dino", SLIDES[::-1]) == chosen
    assert len(set(chosen) - set(attention.slides(CONFIG, "dino", [*SLIDES, "new"]))) <= 1
    other = {**CONFIG, "attention": {**CONFIG["attention"], "seed": 2}}
    assert attention.slides(other, "dino", SLIDES) != chosen
    assert attention.slides(SHOWN, "dino", SLIDES) == []


def test_imported_features_need_nothing_and_have_figures_all_the_same():
    for config in (CONFIG, SHOWN):
        assert attention.encoder_files(config, "imported") == []
        assert attention.sources(config, "imported") == []
        assert attention.slides(config, "imported", SLIDES) == []
        assert attention.pictured(config, "imported") == []
    assert "results/figures/attention/imported/heads.svg" in attention.figures(CONFIG)


def test_each_sample_has_its_settings():
    sampled, drawn = attention.sample_settings(CONFIG, "dino")
    assert sampled == {"searched": 200, "seed": 1, "source": None, "stain": None}
    assert (drawn["source"], drawn["split"]) == (attention.DRAWN_SOURCE, "test")
    sampled, drawn_too = attention.sample_settings(SHOWN, "dino")
    assert drawn_too == drawn
    assert (sampled["source"], sampled["split"], sampled["all_up_to"]) == ("crc.csv", "held out", 4)
    assert attention.sources(SHOWN, "dino") == ["crc.csv", attention.DRAWN_SOURCE]
    assert attention.samples(CONFIG) == [SAMPLED, DRAWN]


def test_without_a_phantom_there_is_no_table():
    real = {**CONFIG, "phantom": None}
    assert attention.samples(real) == [SAMPLED]
    assert attention.tables(real) == attention.sources(real, "dino") == []
    assert len(attention.sample_settings(real, "dino")) == 1
    assert len(attention.tables(CONFIG)) == 3


def test_controls_follow_their_encoders_in_the_table():
    names = [path.split("/")[2] for path in attention.scored_maps(CONFIG)]
    assert names == ["published_untrained", "dino", "dino_untrained", "published"]
