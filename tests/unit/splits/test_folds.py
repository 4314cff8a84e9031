from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from histossl.errors import UserError
from histossl.splits.folds import deal_sites, draw_splits
from histossl.splits.labels import LabelledSlide, patient_labels


def cohort(sizes: dict[str, int]) -> list[LabelledSlide]:
    """One patient in three has two slides."""
    slides = []
    for label, patients in sizes.items():
        for index in range(patients):
            for copy in range(2 if index % 3 == 0 else 1):
                slides.append(LabelledSlide(f"{label}-{index}-{copy}", f"{label}-{index}", label))
    return slides


def patients(members, fraction, fold, name):
    return {m.patient for m in members if (m.fraction, m.fold, m.set) == (fraction, fold, name)}


SIZES = {"ductal": 23, "lobular": 10, "mixed": 5}
FRACTIONS = (1.0, 0.5, 0.25)
DRAW = {"folds": 5, "fraction": 1.0, "validation": 0.2, "seed": 3}


def draw_fractions(slides, **settings):
    """The members of all `FRACTIONS`, each drawn by itself."""
    return [m for fraction in FRACTIONS for m in draw_splits(slides, **{**DRAW, **settings, "fraction": fraction})]


def test_every_slide_is_tested_once_and_no_patient_is_on_two_sides():
    slides = cohort(SIZES)
    members = draw_fractions(slides)
    for fraction in FRACTIONS:
        tested = Counter(m.slide for m in members if m.fraction == fraction and m.set == "test")
        assert tested == Counter(slide.slide for slide in slides)
        for fold in range(5):
            sets = [patients(members, fraction, fold, name) for name in ("train", "val", "test")]
            assert sum(map(len, sets)) == len(set.union(*sets))


def test_at_the_full_fraction_every_slide_has_a_place_in_every_fold():
    members = draw_splits(cohort(SIZES), **DRAW)
    places = Counter(m.slide for m in members)
    assert places == Counter({slide.slide: 5 for slide in cohort(SIZES)})


def test_folds_are_stratified_and_of_equal_size_by_patient():
    members = draw_splits(cohort(SIZES), **DRAW)
    sizes = [len(patients(members, 1.0, fold, "test")) for fold in range(5)]
    assert max(sizes) - min(sizes) <= 1
    for label in SIZES:
        counts = [sum(p.startswith(label) for p in patients(members, 1.0, fold, "test")) for fold in range(5)]
        assert max(counts) - min(counts) <= 1


def test_training_fractions_are_nested_and_stratified_and_the_other_sets_stay():
    members = draw_fractions(cohort(SIZES))
    for fold in range(5):
        full, half, quarter = (patients(members, fraction, fold, "train") for fraction in FRACTIONS)
        assert quarter < half < full
        for label in SIZES:
            count = sum(p.startswith(label) for p in full)
            assert sum(p.startswith(label) for p in half) == max(1, int(count / 2 + 0.5))
        for name in ("val", "test"):
            assert patients(members, 1.0, fold, name) == patients(members, 0.25, fold, name)


def test_every_set_has_every_class_down_to_the_fewest_patients():
    members = draw_splits(cohort({"a": 4, "b": 4}), folds=4, fraction=0.1, validation=0.5, seed=0)
    classes = defaultdict(set)
    for member in members:
        classes[member.fold, member.set].add(member.label)
    assert len(classes) == 12
    assert all(found == {"a", "b"} for found in classes.values())


def test_a_single_patient_outside_the_test_set_goes_to_training():
    members = draw_splits(cohort({"a": 2, "b": 2}), folds=2, fraction=1.0, validation=0.9, seed=0)
    assert {member.set for member in members} == {"train", "test"}


def test_without_validation_there_is_none():
    members = draw_splits(cohort(SIZES), folds=5, fraction=1.0, validation=0, seed=0)
    assert {member.set for member in members} == {"train", "test"}


def test_splits_depend_on_the_seed_but_not_on_the_order_of_the_sheet():
    slides = cohort(SIZES)
    members = draw_splits(slides, **DRAW)
    assert sorted(draw_splits(slides[::-1], **DRAW)) == sorted(members)
    assert draw_splits(slides, **{**DRAW, "seed": 4}) != members


def test_the_first_repeat_is_that_of_a_single_one_and_others_differ_in_all_that_is_drawn():
    slides = cohort(SIZES)
    half = {**DRAW, "fraction": 0.5}
    single, members = draw_splits(slides, **half), draw_splits(slides, **half, repeats=3)
    assert members[: len(single)] == single
    assert draw_splits(slides, **half, repeats=2) == [m for m in members if m.repeat < 2]
    for name in ("train", "val", "test"):
        drawn = [
            [patients([m for m in members if m.repeat == repeat], 0.5, fold, name) for fold in range(5)]
            for repeat in range(3)
        ]
        assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    for repeat in range(3):
        tested = Counter(m.slide for m in members if (m.repeat, m.set) == (repeat, "test"))
        assert tested == Counter(slide.slide for slide in slides)


def many_sites(seed: int) -> tuple[list[LabelledSlide], dict[str, str]]:
    """Three hundred patients of 30 sites, which differ in size and in their share of the rarer class."""
    random = np.random.default_rng(seed)
    weights, shares = random.exponential(size=30), random.beta(1, 3, size=30)
    slides, sites = [], {}
    for index, site in enumerate(random.choice(30, 300, p=weights / weights.sum())):
        label = "lobular" if random.random() < shares[site] else "ductal"
        slides.append(LabelledSlide(f"s{index}", f"p{index}", label))
        sites[f"p{index}"] = f"site {site}"
    return slides, sites


def test_a_site_is_tested_in_one_fold_and_trains_in_none_that_tests_it():
    slides, sites = many_sites(0)
    members = draw_splits(slides, **{**DRAW, "fraction": 0.25}, repeats=2, sites=sites)
    for repeat in range(2):
        tested = defaultdict(set)
        for m in members:
            if (m.repeat, m.set) == (repeat, "test"):
                tested[sites[m.patient]].add(m.fold)
        assert sorted(tested) == sorted(set(sites.values()))
        assert all(len(folds) == 1 for folds in tested.values())
        for m in members:
            assert m.repeat != repeat or (m.set == "test") == (m.fold in tested[sites[m.patient]])
        once = Counter(m.slide for m in members if (m.repeat, m.set) == (repeat, "test"))
        assert once == Counter(slide.slide for slide in slides)


def test_sites_keep_fractions_nested_and_stratified():
    slides, sites = many_sites(1)
    members = draw_fractions(slides, sites=sites)
    for fold in range(5):
        full, half, quarter = (patients(members, fraction, fold, "train") for fraction in FRACTIONS)
        assert quarter < half < full
        labels = patient_labels(slides)
        for label in set(labels.values()):
            count = sum(labels[p] == label for p in full)
            assert sum(labels[p] == label for p in half) == max(1, int(count / 2 + 0.5))


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_classes_are_as_even_over_folds_of_sites_as_scikit_learn_deals_them():
    ours, theirs = [], []
    for seed in range(20):
        slides, sites = many_sites(seed)
        labels = patient_labels(slides)
        names = sorted(labels)
        classes, groups = [labels[p] for p in names], [sites[p] for p in names]
        ours.append(unevenness(deal_sites(labels, sites, 5, str(seed)), labels))
        reference = {}
        drawn = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(names, classes, groups)
        for fold, (_, tested) in enumerate(drawn):
            reference |= {names[index]: fold for index in tested}
        theirs.append(unevenness(reference, labels))
    assert np.mean(ours) <= np.mean(theirs) * 1.02


def unevenness(test_fold, labels) -> float:
    """Standard deviation over the folds of each class's share, averaged over the classes."""
    counts = Counter((labels[patient], fold) for patient, fold in test_fold.items())
    totals = Counter(labels.values())
    return float(np.mean([np.std([counts[label, fold] / totals[label] for fold in range(5)]) for label in totals]))


def test_sites_follow_the_seed_but_not_the_order_of_the_sheet():
    slides, sites = many_sites(2)
    drawn = draw_splits(slides, **DRAW, sites=sites)
    assert sorted(draw_splits(slides[::-1], **DRAW, sites=dict(reversed(sites.items())))) == sorted(drawn)
    assert draw_splits(slides, **{**DRAW, "seed": 4}, sites=sites) != drawn


def test_a_fold_may_test_a_site_that_lacks_a_class():
    slides = [LabelledSlide(f"s{i}", f"p{i}", "ab"[i in (0, 1, 4)]) for i in range(9)]
    sites = {f"p{i}": f"site {i // 3}" for i in range(9)}  # the third has none of b
    members = draw_splits(slides, 3, 1.0, 0.2, 0, sites=sites)
    tested = {fold: {m.label for m in members if (m.fold, m.set) == (fold, "test")} for fold in range(3)}
    assert sorted(map(sorted, tested.values())) == [["a"], ["a", "b"], ["a", "b"]]
    for fold in range(3):
        assert {m.label for m in members if (m.fold, m.set) == (fold, "train")} == {"a", "b"}


@pytest.mark.parametrize(
    ("site_of", "folds", "message"),
    [
        (lambda i: i % 3, 4, r"fewer sites \(3\) than folds \(4\); set `folds` to 3"),
        (lambda i: 0, 2, r"fewer sites \(1\) than folds \(2\); delete `site`"),
        (lambda i: i // 6, 2, "class 'a' has its 6 patients at the site 'site 0' alone, .* leave the class out"),
    ],
)
def test_sites_that_cannot_be_dealt_get_one_sentence(site_of, folds, message):
    slides = [LabelledSlide(f"s{i}", f"p{i}", "ab"[i // 6]) for i in range(12)]
    sites = {f"p{i}": f"site {site_of(i)}" for i in range(12)}
    with pytest.raises(UserError, match=message):
        draw_splits(slides, folds, 1.0, 0.0, 0, sites=sites)


def test_a_class_whose_sites_fall_into_one_fold_is_named():
    # The second and the third site go together for the sake of six other classes.
    counts = {"one": "abcdef" * 10, "two": "abcdef" * 6 + "r", "three": "abcdef" * 5 + "r"}
    labels = {f"{site}-{i}": label for site, text in counts.items() for i, label in enumerate(text)}
    sites = {patient: patient.split("-")[0] for patient in labels}
    with pytest.raises(UserError, match=r"class 'r' has its 2 patients at 2 sites that fell into one fold, .* `folds`"):
        deal_sites(labels, sites, 2, "0")
