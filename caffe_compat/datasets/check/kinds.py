"""Everything that can be found wrong, how bad it is, and what to do about it.

A problem would spoil a training or stop the tool that reads the data; a warning would not. The names are part of the
report's format: docs/checking.md lists them.
"""

from __future__ import annotations

from typing import NamedTuple

PROBLEM, WARNING = "problem", "warning"


class Kind(NamedTuple):
    """severity: PROBLEM or WARNING; what: what the places have in common, after their number; remedy: what to do."""

    severity: str
    what: str
    remedy: str


KINDS = {
    # lists and image files
    "malformed_line": Kind(WARNING, "line(s) without a label", "complete or delete them; they are not used"),
    "broken_line": Kind(
        PROBLEM,
        'line(s) of a list that are not "path label", the label a whole number',
        "complete or delete them: tools stop at them",
    ),
    "blank_line": Kind(
        PROBLEM,
        "blank line(s) in a list",
        "delete them: convert_imageset stops there (mix_datasets, import_dataset and remove_near_duplicates skip them)",
    ),
    "wrong_separator": Kind(
        PROBLEM, "list(s) with something else than a space before the label", "put a space between path and label"
    ),
    "cell_without_label": Kind(
        PROBLEM,
        "cell(s) of a table without a label",
        "complete them: import_cifar10n stops there",
    ),
    "no_column_of_labels": Kind(
        WARNING,
        "table(s) without the human labels that are read by default",
        "import_cifar10n takes others with --labels, and --synthetic_noise needs none",
    ),
    "label_out_of_range": Kind(
        PROBLEM, "label(s) out of range", "labels count from 0 and end before the number of classes"
    ),
    "label_of_none": Kind(
        PROBLEM, "line(s) with the label -1", "label or delete them: convert_imageset stores them, importers stop there"
    ),
    "byte_order_mark": Kind(
        PROBLEM,
        "list(s) that begin with a byte order mark",
        "save them as UTF-8 without one: tools stop there, and Caffe takes it for a part of the first path",
    ),
    "conflicting_label": Kind(PROBLEM, "key(s) labelled a second time, differently", "keep one line a key"),
    "unlabelled_key": Kind(PROBLEM, "listed key(s) without a label", "label them or take them out of the list"),
    "repeated_key": Kind(
        WARNING,
        "key(s) listed more than once",
        "delete the others: importers use them once, convert_imageset writes each",
    ),
    "implausible_label": Kind(
        WARNING, "label(s) far above all others", "correct them; if they are right, --num_classes says so"
    ),
    "key_in_two_splits": Kind(
        PROBLEM,
        "key(s) in two splits",
        "take them out of the training list: they make a test too good (a clean and a noisy list that are both for "
        "training may share images: check them apart)",
    ),
    "clean_key_in_noisy_list": Kind(
        PROBLEM,
        "clean-labelled key(s) in the noisy list",
        "take them out of the noisy list, held-out images may be among them",
    ),
    "root_without_slash": Kind(
        PROBLEM, "root(s) without a slash at the end", "end --root with /: it is put before every path as it is"
    ),
    "missing_image": Kind(PROBLEM, "image file(s) missing", "fetch them, or take the keys out of the lists"),
    "unreadable_image": Kind(PROBLEM, "image file(s) that cannot be decoded", "fetch them again, or take the keys out"),
    "empty_split": Kind(PROBLEM, "empty list(s)", "every list needs samples"),
    "absent_class": Kind(
        WARNING, "class(es) without a sample in a split", "look whether labels and class names belong together"
    ),
    "no_pairs": Kind(
        PROBLEM, "training list(s) without a key that has both labels", "C cannot be estimated without such pairs"
    ),
    "low_label_accuracy": Kind(
        WARNING, "noisy labels no better than chance", "look whether clean and noisy labels count the classes alike"
    ),
    # made data folders
    "unreadable_file": Kind(PROBLEM, "file(s) that cannot be read", "make the folder again"),
    "unreadable_database": Kind(PROBLEM, "database(s) that cannot be opened", "make the folder again"),
    "no_training_set": Kind(PROBLEM, "folder(s) without anything to train on", "make the folder again"),
    "needed_by_recipe": Kind(
        PROBLEM, "part(s) missing that nets of the recipe read", "make the folder again; docs/recipes.md says of what"
    ),
    "net_does_not_fit": Kind(
        PROBLEM,
        "net(s) of the recipe that cannot be trained on it",
        "make the folder anew, or nets for it",
    ),
    "missing_part": Kind(
        WARNING, "part(s) that importers make missing", "nets and tools that read them will not start"
    ),
    "missing_database": Kind(WARNING, "database(s) of the mixed set missing", "nets that read them will not start"),
    "unreadable_record": Kind(PROBLEM, "record(s) that cannot be read", "make the database again"),
    "wrong_record_key": Kind(PROBLEM, "record(s) whose key does not carry their place", "make the database again"),
    "size_differs": Kind(PROBLEM, "image(s) of another size than the first", "resize all images alike"),
    "mean_does_not_fit": Kind(
        PROBLEM, "mean(s) that do not fit the images", "tools/compute_image_mean.py makes it again"
    ),
    "records_out_of_step": Kind(
        PROBLEM, "database(s) with another number of records", "make the mixed set again as a whole"
    ),
    "index_out_of_range": Kind(
        PROBLEM, "entries of the index that point past the images", "make the mixed set again as a whole"
    ),
    "unread_image": Kind(
        WARNING,
        "noisy image(s) that the index never reads",
        "make the mixed set again if they are to count",
    ),
    "missing_group": Kind(
        WARNING, "part(s) of the mixed set without side file", "nets cannot notice when one is made anew"
    ),
    "group_differs": Kind(PROBLEM, "part(s) of the mixed set out of step", "make the mixed set again as a whole"),
    "inconsistent_label": Kind(
        PROBLEM, "label(s) that contradict another database", "make the mixed set again as a whole"
    ),
    "wrong_confusion": Kind(PROBLEM, "fault(s) of C", "tools/estimate_confusion.py makes it again"),
    "confusion_not_of_pairs": Kind(
        PROBLEM, "column(s) of C that do not follow from the pairs", "tools/estimate_confusion.py makes it again"
    ),
    "wrong_noise_type": Kind(PROBLEM, "noise type(s) that do not follow from C", "make the noise types again"),
    "same_image_held_out": Kind(
        PROBLEM, "held-out image(s) with the very pixels of a training image", "take them out of the training lists"
    ),
    "same_image_clean_and_noisy": Kind(
        WARNING, "clean image(s) with the very pixels of a noisy one", "tools/remove_near_duplicates.py takes them out"
    ),
}
