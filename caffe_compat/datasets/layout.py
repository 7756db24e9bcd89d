"""Names of the files in a data folder, as the nets under prototxt/ read them.

====================================  =================================================================================
file                                  content
====================================  =================================================================================
clean_train_lmdb                      images with clean labels, shuffled once
val_lmdb                              validation images with clean labels
val_noisy_labels_lmdb                 the noisy labels of these, -1 where there is none; for measuring only
test_lmdb                             test images with clean labels
ntype_{train,val,test}_lmdb           images with their noise types: 0 noise free, 1 pure random, 2 confusing
mixed_images_lmdb                     the images of the mixed training set, each once (label -1, not meant to be read)
mixed_index.npy                       int64, the mixed set's reading order: 0-based positions in key order in
                                      mixed_images_lmdb. Not there with --materialise: then mixed_images_lmdb is in
                                      reading order itself, copies included
mixed_clean_labels_lmdb               a label a record of the mixed set, in reading order, -1 where there is none
mixed_noisy_labels_lmdb               likewise
mixed_ntype_labels_lmdb               likewise
mixed_truth_labels_lmdb               the clean label where there is one, otherwise the noisy one ("noisy as truth")
mean.binaryproto                      mean image, 1 x 3 x H x W
confusion.binaryproto, confusion.npy  C, indexed [noisy, true]
transition.binaryproto                p(noisy | true) counted on the pairs, [noisy, true]: for the bottom-up baseline
noise_type_log_prior.binaryproto      log of the noise types' frequencies among the pairs, 3 values
pairs.csv                             key,clean,noisy of the samples C was estimated from
noise_types.csv                       key,noise_type of every sample with both labels
names.txt                             class names, one a line
truth.csv                             key,true (and more) of all images whose truth is known, for measuring only
synthetic_noise.npy                   p(noisy | true) the labels were drawn from, [noisy, true] (--synthetic_noise)
true_confusion.npy                    the matrix that the demo's confusing labels were drawn from, [noisy, true]
confusion_of_all.binaryproto          C from all training images, where all have both labels (CIFAR-10N); for measuring
                                      only
====================================  =================================================================================

Image keys are ``%08d_<path>``, label keys ``%08d``, both counting from 0. Images are raw uint8, BGR.
The mixed databases carry side files of one group, so that a net notices when one of them was made anew.
"""

from caffe_compat.data.group import side_file

CLEAN_TRAIN = "clean_train_lmdb"
VAL = "val_lmdb"
VAL_NOISY_LABELS = "val_noisy_labels_lmdb"
TEST = "test_lmdb"
NTYPE_TRAIN = "ntype_train_lmdb"
NTYPE_VAL = "ntype_val_lmdb"
NTYPE_TEST = "ntype_test_lmdb"
MIXED_IMAGES = "mixed_images_lmdb"
MIXED_INDEX = "mixed_index.npy"
MIXED_CLEAN_LABELS = "mixed_clean_labels_lmdb"
MIXED_NOISY_LABELS = "mixed_noisy_labels_lmdb"
MIXED_NTYPE_LABELS = "mixed_ntype_labels_lmdb"
MIXED_TRUTH_LABELS = "mixed_truth_labels_lmdb"
MEAN = "mean.binaryproto"
CONFUSION = "confusion.binaryproto"
CONFUSION_NPY = "confusion.npy"
TRANSITION = "transition.binaryproto"
NOISE_TYPE_LOG_PRIOR = "noise_type_log_prior.binaryproto"
PAIRS = "pairs.csv"
NOISE_TYPES = "noise_types.csv"
NAMES = "names.txt"
TRUTH = "truth.csv"
SYNTHETIC_NOISE = "synthetic_noise.npy"
TRUE_CONFUSION = "true_confusion.npy"
CONFUSION_OF_ALL = "confusion_of_all.binaryproto"

MIXED_GROUP = "mixed"  # the group id in the side files

DATABASES = (
    CLEAN_TRAIN, VAL, VAL_NOISY_LABELS, TEST, NTYPE_TRAIN, NTYPE_VAL, NTYPE_TEST,
    MIXED_IMAGES, MIXED_CLEAN_LABELS, MIXED_NOISY_LABELS, MIXED_NTYPE_LABELS, MIXED_TRUTH_LABELS,
)  # fmt: skip
FILES = (
    MIXED_INDEX, str(side_file(MIXED_IMAGES, MIXED_INDEX)),
    MEAN, CONFUSION, CONFUSION_NPY, TRANSITION, NOISE_TYPE_LOG_PRIOR, PAIRS, NOISE_TYPES, NAMES, TRUTH, SYNTHETIC_NOISE,
    TRUE_CONFUSION, CONFUSION_OF_ALL,
)  # fmt: skip
EVERYTHING = (*DATABASES, *FILES)
MIXED_SET = tuple(name for name in EVERYTHING if name.startswith("mixed_"))
