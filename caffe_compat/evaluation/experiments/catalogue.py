"""The experiments: which trainings, in which order, from which weights, and the rows of their tables.

The chain of the paper's section 4: (a) the p(y|x) net on the clean labels, (b) C and the noise types, which come with
the data, (c) the p(z|x) net on the noise types from (a)'s convolutions, (d) both together. Beside it the methods it is
compared with. What differs from the prototxts is an edit (``edits``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from caffe_compat.evaluation.experiments import edits
from caffe_compat.evaluation.experiments.families import Family
from caffe_compat.evaluation.experiments.recipes import Recipe, Row, Stage
from caffe_compat.evaluation.experiments.simpler_types import constant_types, types_of_class

CLEAN_ONLY, NOISY_AS_TRUTH, OURS = "clean only", "noisy as truth", "ours"
CLEAN_PRETRAINED, NOISY_PRETRAINED = "clean only, pre-trained", "noisy as truth, pre-trained"
NOISY_RANDOM, NOISY_THEN_CLEAN = "noisy as truth, from random", "noisy as truth, then clean"
BOTTOM_UP, FORWARD, GLC = "bottom-up", "forward correction", "GLC"
CONSTANT_TYPES = "ours, p(z|x) constant"
OURS_RANDOM, BOTTOM_UP_RANDOM = "ours, p(y|x) from random", "bottom-up, from random"
TYPES_OF_CLASS_RANDOM = "ours, p(z|x) of the class, from random"
BOTTOM_UP_THEN_CLEAN = "bottom-up, from random, then clean"
TYPES_OF_CLASS_THEN_CLEAN = "ours, p(z|x) of the class, from random, then clean"

_QUICK = (("conv1", "conv2", "conv3"), ("ip1", "ip2"))
_CAFFENET = (("conv1", "conv2", "conv3", "conv4", "conv5"), ("fc6", "fc7"))

_AUTHORS_ROWS = (
    Row(CLEAN_ONLY, "clean", "clean"),
    Row(NOISY_AS_TRUTH, "clean and noisy alike, from clean only", "noisy_as_truth"),
    Row(OURS, "clean, noisy and noise type, from clean only", "ours"),
)
ALL_ROWS = (
    Row(CLEAN_ONLY, "clean, from random", "clean"),
    Row(NOISY_RANDOM, "clean and noisy alike, from random", "noisy_as_truth_random"),
    Row(NOISY_AS_TRUTH, "clean and noisy alike, from clean only", "noisy_as_truth"),
    Row(NOISY_THEN_CLEAN, "clean, from noisy as truth from random", "noisy_then_clean"),
    Row(BOTTOM_UP, "clean and noisy, from clean only", "bottom_up"),
    Row(FORWARD, "clean and noisy, from clean only", "forward"),
    Row(GLC, "clean and noisy, from clean only", "glc"),
    Row(OURS, "clean, noisy and noise type, from clean only", "ours"),
)
OTHERS = (NOISY_AS_TRUTH, NOISY_RANDOM, NOISY_THEN_CLEAN, BOTTOM_UP, FORWARD, GLC)

# As the authors fine-tune at another place (the noise type net of CIFAR-10): there is no validation split to choose on.
_FINE_TUNE = edits.schedule(base_lr=1e-4, stepsize=1000, max_iter=1500, snapshot=1500)
# As long as the release trains on clean labels (D7), at the rate at which noisy as truth ended.
_FINE_TUNE_CLOTHING1M = edits.schedule(base_lr=1e-5, stepsize=10_000, max_iter=15_000, snapshot=5000)
# The demo's last 300 iterations run at 0.003.
_FINE_TUNE_DEMO = edits.schedule(base_lr=0.003, stepsize=300, max_iter=500, snapshot=500)


def _published(rows: Sequence[Row], **figures: float) -> tuple[Row, ...]:
    return tuple(replace(row, published=figures.get(row.stage)) for row in rows)


_demo = Family("prototxt/demo", *_QUICK, every=(edits.test_on(validation=(100, 10), test=(100, 20)),))
_cifar10 = Family("prototxt/cifar10", *_QUICK)
_cifar10n = Family("prototxt/cifar10", *_QUICK, every=(edits.shuffle,))


def _clothing1m_stages() -> tuple[Stage, ...]:
    """Table 1 as the paper's text has it, models 1 to 4 on their own, 5 and 6 from model 2; then the literature's."""
    pretrained = replace(_clothing1m.stage("clean_pretrained", "clean"), pretrained=True)
    return (
        _clothing1m.clean(),
        pretrained,
        _clothing1m.noisy_as_truth_random(),
        replace(_clothing1m.stage("noisy_as_truth_pretrained", "noisy_as_truth"), pretrained=True),
        _clothing1m.bottom_up("clean_pretrained"),
        _clothing1m.ntype("clean_pretrained"),
        _clothing1m.joint(clean="clean_pretrained"),
        _clothing1m.then_clean("noisy_then_clean", "noisy_as_truth_pretrained", _FINE_TUNE_CLOTHING1M),
        replace(_clothing1m.noisy_only(), pretrained=True),
        *_clothing1m.corrected("clean_pretrained"),
    )


def _release_stages() -> tuple[Stage, ...]:
    """The authors' release: the joint training in two stages, the second from the first one's solver state."""
    joint = _release.joint("stage1", clean="clean_pretrained")
    return (
        replace(_release.stage("clean_pretrained", "clean"), pretrained=True),
        _release.ntype("clean_pretrained"),
        replace(joint, solver="prototxt/release/stage1_solver.prototxt"),
        replace(_release.stage("stage2"), continues="stage1"),
    )


_VAL_AND_TEST = edits.test_on(validation=(39, 367), test=(38, 277))  # 14,313 and 10,526 images, each exactly once
_clothing1m = Family("prototxt", *_CAFFENET, every=(_VAL_AND_TEST,))
_release = Family("prototxt/release", *_CAFFENET, every=(_VAL_AND_TEST,))
_TABLE_2 = (
    Row(CLEAN_ONLY, "clean, from random (model 1)", "clean", 64.54),
    Row(CLEAN_PRETRAINED, "clean, from ILSVRC (2)", "clean_pretrained", 72.63),
    Row(NOISY_RANDOM, "clean and noisy alike, from random (3)", "noisy_as_truth_random", 74.03),
    Row(NOISY_PRETRAINED, "clean and noisy alike, from ILSVRC (4)", "noisy_as_truth_pretrained", 75.30),
    Row(BOTTOM_UP, "clean and noisy, from model 2 (5)", "bottom_up", 76.22),
    Row(OURS, "clean, noisy and noise type, from model 2 (6)", "ours", 78.24),
    Row(NOISY_THEN_CLEAN, "clean, from model 4", "noisy_then_clean"),
    Row(FORWARD, "clean and noisy, from model 2", "forward"),
    Row(GLC, "clean and noisy, from model 2", "glc"),
)
_ABLATIONS: dict[str, tuple[str, Stage]] = {
    OURS_RANDOM: (
        "p(y|x) does not start from the clean net",
        _cifar10n.joint("ours_random", clean=None),
    ),
    CONSTANT_TYPES: (
        "p(z|x) the types' frequencies for all images",
        _cifar10n.joint("ours_constant_types", constant_types, types=False),
    ),
    "ours, type net fixed": (
        "no rate, decay or loss for p(z|x)",
        _cifar10n.joint(
            "ours_types_fixed",
            edits.update_noise_lr(0),
            edits.loss_weights(loss_ntype=0),
            edits.learning_rate_of("_ntype", 0),
        ),
    ),
    "ours, type net from clean pairs alone": (
        "update_noise_lr 0: the noisy labels do not move p(z|x)",
        _cifar10n.joint("ours_types_from_pairs", edits.update_noise_lr(0)),
    ),
    "ours, no decay of the type net": (
        "decay_mult 0 on p(z|x)",
        _cifar10n.joint("ours_types_no_decay", edits.without_decay("_ntype")),
    ),
    "ours, type net at a tenth of the rate": (
        "lr_mult times 0.1 on p(z|x)",
        _cifar10n.joint("ours_types_slow", edits.learning_rate_of("_ntype", 0.1)),
    ),
    "ours, C from all pairs": (
        "C from all 50,000 pairs, not from 10,000",
        _cifar10n.joint("ours_confusion_of_all", edits.confusion_of_all),
    ),
    "ours, type loss over labelled rows": (
        "loss_clean and loss_ntype divided by their rows",
        _cifar10n.joint("ours_labelled_mean", edits.labelled_mean),
    ),
}

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="demo",
            title="Drawn clothes",
            data_root="data/demo",
            make_data="tools/make_demo_data.py data/demo",
            stages=(_demo.clean(), _demo.noisy_as_truth(), _demo.ntype(), _demo.joint()),
            rows=_AUTHORS_ROWS,
            compare=((OURS, NOISY_AS_TRUTH),),
            seeds=1,
            validation=True,
        ),
        Recipe(
            name="demo_beyond_model",
            title="Drawn clothes, noise beyond the model's assumptions",
            data_root="data/demo",
            make_data="tools/make_demo_data.py data/demo_beyond_model --noise beyond_model",
            stages=(_demo.clean(), _demo.noisy_as_truth(), _demo.ntype(), _demo.joint(), _demo.bottom_up()),
            rows=(
                *_AUTHORS_ROWS[:2],
                Row(BOTTOM_UP, "clean and noisy, from clean only", "bottom_up"),
                _AUTHORS_ROWS[2],
            ),
            compare=((OURS, NOISY_AS_TRUTH), (OURS, BOTTOM_UP)),
            seeds=3,
            validation=True,
        ),
        Recipe(
            name="demo_all",
            title="Drawn clothes, all methods",
            data_root="data/demo",
            make_data="tools/make_demo_data.py data/demo",
            stages=_demo.every_method(_FINE_TUNE_DEMO),
            rows=ALL_ROWS,
            compare=tuple((OURS, other) for other in OTHERS),
            seeds=3,
            validation=True,
        ),
        Recipe(
            name="clothing1m",
            title="Clothing1M, the paper's text",
            data_root="data/clothing1m",
            make_data="tools/import_clothing1m.py ROOT data/clothing1m",
            stages=_clothing1m_stages(),
            rows=_TABLE_2,
            compare=tuple((OURS, other) for other in (BOTTOM_UP, NOISY_PRETRAINED, NOISY_THEN_CLEAN, FORWARD, GLC)),
            seeds=1,
            published="paper",
            validation=True,
        ),
        Recipe(
            name="clothing1m_release",
            title="Clothing1M, the authors' release",
            data_root="data/clothing1m",
            make_data="tools/import_clothing1m.py ROOT data/clothing1m --recipe release",
            stages=_release_stages(),
            rows=(
                Row(CLEAN_PRETRAINED, "clean, from ILSVRC", "clean_pretrained"),
                Row("ours, stage 1", "clean and noisy, from the clean and noise type nets", "stage1"),
                Row(OURS, "clean, noisy and noise type, from stage 1", "stage2"),
            ),
            compare=((OURS, CLEAN_PRETRAINED),),
            seeds=1,
            validation=True,
        ),
        Recipe(
            name="cifar10",
            title="CIFAR-10 (10,000 clean labels, 40,000 with the authors' synthetic noise of level 0.3)",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10 --synthetic_noise 0.3",
            stages=_cifar10.every_method(_FINE_TUNE),
            rows=_published(ALL_ROWS, clean=62.04, noisy_as_truth=65.81, ours=68.94),
            compare=tuple((OURS, other) for other in OTHERS),
            seeds=3,
            published="authors' log",
        ),
        Recipe(
            name="cifar10n",
            title="CIFAR-10N (10,000 clean labels, 40,000 human labels of the kind `worse`)",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10n",
            stages=_cifar10n.every_method(_FINE_TUNE),
            rows=ALL_ROWS,
            compare=tuple((OURS, other) for other in OTHERS),
            seeds=3,
        ),
        Recipe(
            name="cifar10n_ablations",
            title="CIFAR-10N, one change of the label noise model at a time",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10n",
            stages=(
                *(_cifar10n.clean(), _cifar10n.ntype(), _cifar10n.joint(), _cifar10n.bottom_up()),
                *(stage for _, stage in _ABLATIONS.values()),
                _cifar10n.bottom_up_random(),
            ),
            rows=(
                Row(OURS, "as in `cifar10n`", "ours"),
                *(Row(method, change, stage.name) for method, (change, stage) in _ABLATIONS.items()),
                Row(BOTTOM_UP, "as in `cifar10n`", "bottom_up"),
                Row(BOTTOM_UP_RANDOM, "does not start from the clean net", "bottom_up_random"),
            ),
            compare=(
                *((method, OURS) for method in _ABLATIONS),
                (BOTTOM_UP_RANDOM, BOTTOM_UP),
                (OURS_RANDOM, BOTTOM_UP_RANDOM),
            ),
            seeds=3,
        ),
        Recipe(
            name="cifar10n_from_random",
            title="CIFAR-10N, every method from random weights",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10n",
            stages=(
                *(_cifar10n.clean(), _cifar10n.ntype()),
                *(_cifar10n.noisy_as_truth_random(), _cifar10n.bottom_up_random(), _ABLATIONS[OURS_RANDOM][1]),
                _cifar10n.joint("ours_types_of_class_random", types_of_class, clean=None, types=False),
                _cifar10n.then_clean("noisy_then_clean", "noisy_as_truth_random", _FINE_TUNE),
                _cifar10n.then_clean("bottom_up_then_clean", "bottom_up_random", _FINE_TUNE),
                _cifar10n.then_clean(
                    "ours_types_of_class_then_clean", "ours_types_of_class_random", _FINE_TUNE, joint=True
                ),
            ),
            rows=(
                Row(NOISY_RANDOM, "clean and noisy alike", "noisy_as_truth_random"),
                Row(BOTTOM_UP_RANDOM, "clean and noisy", "bottom_up_random"),
                Row(OURS_RANDOM, "clean, noisy and noise type, p(z|x) from its own net", "ours_random"),
                Row(TYPES_OF_CLASS_RANDOM, "clean, noisy and noise type", "ours_types_of_class_random"),
                Row(NOISY_THEN_CLEAN, "clean alone, from noisy as truth", "noisy_then_clean"),
                Row(BOTTOM_UP_THEN_CLEAN, "clean alone, from bottom-up", "bottom_up_then_clean"),
                Row(TYPES_OF_CLASS_THEN_CLEAN, "clean alone, from ours", "ours_types_of_class_then_clean"),
            ),
            compare=(
                *((TYPES_OF_CLASS_THEN_CLEAN, other) for other in (NOISY_THEN_CLEAN, BOTTOM_UP_THEN_CLEAN)),
                *((OURS_RANDOM, other) for other in (NOISY_RANDOM, BOTTOM_UP_RANDOM)),
                *((TYPES_OF_CLASS_RANDOM, other) for other in (OURS_RANDOM, NOISY_RANDOM, BOTTOM_UP_RANDOM)),
            ),
            seeds=3,
        ),
        Recipe(
            name="cifar10n_true_labels",
            title="CIFAR-10N's images, all 50,000 with their true labels",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10n_true_labels --synthetic_noise 0",
            stages=(_cifar10n.noisy_as_truth_random(),),
            rows=(Row("all labels true", "clean, from random", "noisy_as_truth_random"),),
            compare=(),
            seeds=1,
        ),
        Recipe(
            name="cifar10n_one_order",
            title="CIFAR-10N, read in one order for ever as the authors and Caffe do",
            data_root="data/cifar10n",
            make_data="tools/import_cifar10n.py ROOT data/cifar10n",
            stages=(_cifar10.clean(), _cifar10.noisy_as_truth(), _cifar10.ntype(), _cifar10.joint()),
            rows=_AUTHORS_ROWS,
            compare=((OURS, NOISY_AS_TRUTH),),
            seeds=3,
        ),
    )
}
