"""A data folder of drawn pictures: written as Clothing1M would be, then imported as Clothing1M is.

=================  ==================================================================================================
file               content (beside what ``caffe_compat.datasets.layout`` lists)
=================  ==================================================================================================
raw/               the pictures, Clothing1M's text files, and a list ``path label`` per split
truth.csv          of every picture: split, true class, noise type, hardness, look-alike, noisy label
init_joint.caffemodel  (like Clothing1M) convolutions to start prototxt/ours_solver.prototxt from
=================  ==================================================================================================
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.data.imageset import ImageFormat
from caffe_compat.datasets import layout
from caffe_compat.datasets.clothing1m.building import RECIPES, build
from caffe_compat.datasets.clothing1m.lists import read_lists
from caffe_compat.datasets.contents import write_contents
from caffe_compat.datasets.databases import image_reader
from caffe_compat.datasets.output_folder import output_folder
from caffe_compat.demo.contact_sheet import write_contact_sheet
from caffe_compat.demo.initial_weights import write_initial_weights
from caffe_compat.demo.plan import Plan
from caffe_compat.demo.taxonomy import true_confusion
from caffe_compat.demo.write import draw_files, write_lists, write_truth

RAW = "raw"
INITIAL_WEIGHTS, CONTACT_SHEET = "init_joint.caffemodel", "contact_sheet.jpg"


def make_dataset(
    out: Path, plan: Plan, *, processes: int, initial_weights: bool, contact_sheet: bool, force: bool
) -> None:
    """Make the data folder ``out``: whole or not at all.

    Args:
        initial_weights, contact_sheet: whether these files are made too.
        force: replace the data files of a folder that exists.
    Raises: DataError if ``out`` exists and ``force`` is not given, or the plan has an empty split.
    """
    with output_folder(out, force) as folder:
        raw = folder / RAW
        rows = draw_files(raw, plan, processes)
        write_lists(raw, rows)
        write_truth(folder / layout.TRUTH, rows)
        np.save(folder / layout.TRUE_CONFUSION, true_confusion())
        contents = build(read_lists(raw)[0], RECIPES["paper"], plan.seed)
        write_contents(folder, contents, image_reader(raw, ImageFormat()))
        if initial_weights:
            write_initial_weights(folder / INITIAL_WEIGHTS, plan.seed)
        if contact_sheet:
            write_contact_sheet(folder / CONTACT_SHEET, plan.seed)
