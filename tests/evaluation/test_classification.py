"""Classifying images: crops, centring and averaging against plain loops; the command line over real Caffe's weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from caffe_compat import Net
from caffe_compat.cli.classify import main
from caffe_compat.errors import CaffeCompatError
from caffe_compat.evaluation.classification import Classifier, Preprocessing, load_image
from caffe_compat.pycaffe.io import resize_image as resize
from caffe_compat.weights import read_blobproto_file, write_blobproto_file

# Its output is its input: what comes out is what the preprocessing made.
IDENTITY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 4 dim: 5 } } }
layer { name: "out" type: "Flatten" bottom: "data" top: "out" }
"""


def images(count: int = 4, size: tuple[int, int] = (7, 8)) -> list[np.ndarray]:
    return list(np.random.default_rng(1).random((count, *size, 3)).astype(np.float32))


def plain_crop(image: np.ndarray, top: int, left: int, mirrored: bool, mean: np.ndarray) -> np.ndarray:
    """One crop of 4 x 5, pixel by pixel: BGR, times 255, minus the mean, times 0.5."""
    out = np.zeros((3, 4, 5))
    for channel in range(3):
        for y in range(4):
            for x in range(5):
                from_x = 4 - x if mirrored else x
                pixel = image[top + y, left + from_x, 2 - channel]
                out[channel, y, x] = (255.0 * pixel - mean[channel, y, x]) * 0.5
    return out.ravel()


def test_ten_crops_and_the_centre() -> None:
    """7 images of 7 x 8 in batches of 3: corners at 0 and 3, 0 and 3; the centre at floor(1.5), floor(1.5)."""
    mean = np.random.default_rng(2).random((3, 4, 5)).astype(np.float32)
    classifier = Classifier(Net(IDENTITY), Preprocessing((7, 8), mean=mean, input_scale=0.5))
    pictures = images(7)
    places = [(0, 0), (0, 3), (3, 0), (3, 3), (1, 1)]
    averaged, centred = classifier.predict(pictures), classifier.predict(pictures, oversample=False)
    assert averaged.shape == centred.shape == (7, 60)
    for image, ours_averaged, ours_centred in zip(pictures, averaged, centred, strict=True):
        crops = [plain_crop(image, *place, mirrored, mean) for place in places for mirrored in (False, True)]
        assert np.abs(ours_averaged - np.mean(crops, 0)).max() < 1e-4
        assert np.abs(ours_centred - plain_crop(image, 1, 1, False, mean)).max() < 1e-4


def test_resizing_is_bilinear_with_half_pixel_centres() -> None:
    """As skimage's order 1 without smoothing: each pixel a mix of the four around its place."""
    image = images(1, (6, 9))[0]
    ours, size = resize(image, (4, 5)), (4, 5)
    for y in range(4):
        for x in range(5):
            at_y, at_x = (y + 0.5) * 6 / size[0] - 0.5, (x + 0.5) * 9 / size[1] - 0.5
            y0, x0 = int(np.floor(at_y)), int(np.floor(at_x))
            fy, fx = at_y - y0, at_x - x0
            rows = image[y0] * (1 - fy) + image[y0 + 1] * fy
            assert np.abs(ours[y, x] - (rows[x0] * (1 - fx) + rows[x0 + 1] * fx)).max() < 1e-5


def test_a_mean_of_another_size_is_resized_and_one_per_channel_is_spread() -> None:
    big = np.random.default_rng(3).random((3, 8, 10)).astype(np.float32)
    net, (image,) = Net(IDENTITY), images(1)
    ours = Classifier(net, Preprocessing((7, 8), mean=big)).predict([image], oversample=False)
    small = resize(big.transpose(1, 2, 0), (4, 5)).transpose(2, 0, 1)
    assert np.abs(ours[0] - 2 * plain_crop(image, 1, 1, False, small)).max() < 1e-4
    ours = Classifier(net, Preprocessing((7, 8), mean=np.array([1, 2, 3]))).predict([image], oversample=False)
    spread = np.array([1, 2, 3])[:, None, None] * np.ones((3, 4, 5))
    assert np.abs(ours[0] - 2 * plain_crop(image, 1, 1, False, spread)).max() < 1e-4


@pytest.mark.parametrize(
    "net, how, message",
    [
        (IDENTITY, Preprocessing((3, 8)), r"images_dim: expected at least the net's input, 4 x 5, got 3 x 8"),
        (IDENTITY, Preprocessing(channel_swap=(1, 0)), r"channel_swap: expected each of the net's 3 channels once"),
        (IDENTITY, Preprocessing(mean=np.zeros(4)), r"mean of another shape: expected \(3,\) or .* got \(4,\)"),
        (IDENTITY.replace(" dim: 5", ""), Preprocessing(), r"inputs of the net: expected one of four axes .* got data"),
        ('layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }', Preprocessing(),
         r"net.prototxt: inputs of the net: .* got none"),
    ],
)  # fmt: skip
def test_what_does_not_fit(net: str, how: Preprocessing, message: str) -> None:
    with pytest.raises(CaffeCompatError, match=message):
        Classifier(Net(net), how, "net.prototxt")


# --- the command line ---------------------------------------------------------------------------------------------

WEIGHTS = "snap_BINARYPROTO_iter_30.caffemodel"
FLAGS = ["--model_def=deploy.prototxt", f"--pretrained_model={WEIGHTS}", "--images_dim=16,16", "--ext", "png"]


@pytest.fixture
def deploy_run(golden_run: Path) -> Path:
    """The golden run with a deploy net; returns its folder of images."""
    text = Path("train_val.prototxt").read_text()
    body = "layer" + text.split("layer", 3)[3].split('layer { name: "loss"')[0]
    shape = "dim: 10 dim: 3 dim: 16 dim: 16"
    data = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {shape} }} }} }}\n'
    Path("deploy.prototxt").write_text(data + body + 'layer { name: "prob" type: "Softmax" bottom: "ip1" top: "prob" }')
    return golden_run / "images"


def test_a_folder_gives_the_nets_own_answers(deploy_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows are the files by name; the net is fed by hand, with OpenCV's pixels."""
    argv = [str(deploy_run), "out.npy", *FLAGS, "--center_only", "--mean_file=mean.binaryproto"]
    assert main([*argv, "--input_scale=0.0078125"]) == 0
    files = sorted(deploy_run.glob("*.png"))
    pixels = [cv2.resize(cv2.imread(str(file)).astype(np.float32), (16, 16)).transpose(2, 0, 1) for file in files]
    centred = (np.stack(pixels) - read_blobproto_file("mean.binaryproto").reshape(3, 16, 16)) / 128
    with torch.no_grad():
        expected = Net("deploy.prototxt", "TEST", WEIGHTS)(data=torch.from_numpy(centred))["prob"].numpy()
    ours = np.load("out.npy")
    assert ours.shape == (len(files), 4) and np.abs(ours - expected).max() < 1e-5
    assert capsys.readouterr().out.splitlines()[-1] == "Saving results into out.npy"

    np.save("mean.npy", read_blobproto_file("mean.binaryproto").reshape(3, 16, 16))
    np.save("in.npy", np.stack([resize(load_image(file), (16, 16)) for file in files]))
    argv = ["in.npy", "again.npy", *FLAGS, "--center_only", "--mean_file=mean.npy", "--input_scale=0.0078125"]
    assert main(argv) == 0
    assert np.abs(np.load("again.npy") - ours).max() < 1e-6


def test_the_best_are_printed(deploy_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("names.txt").write_text("circle\nsquare\nstar\nheart\n")
    image = str(deploy_run / "065.png")
    options = ["--mean_file=mean.binaryproto", "--input_scale=0.0078125"]
    assert main([image, *FLAGS, *options, "--labels_file=names.txt"]) == 0
    _, _, title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"---------- Prediction for {image} ----------"
    scores = [float(line.split()[0]) for line in lines]
    assert len(lines) == 4 and scores == sorted(scores, reverse=True)
    assert lines[0].split()[1:] == ["1", "square"]  # test.txt: 065.png is of class 1
    assert main([image, *FLAGS, *options]) == 0
    assert capsys.readouterr().out.splitlines()[3].split()[1:] == ["1"]


def test_a_net_of_one_channel_reads_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = Net(IDENTITY.replace("dim: 3 dim: 3", "dim: 3 dim: 1"))
    Path("net.prototxt").write_text(IDENTITY.replace("dim: 3 dim: 3", "dim: 3 dim: 1"))
    net.save_weights("w.caffemodel")
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    cv2.imwrite("x.png", picture)
    assert main(["x.png", "out.npy", "--model_def=net.prototxt", "--pretrained_model=w.caffemodel", "--images_dim=4,5",
                 "--center_only"]) == 0  # fmt: skip
    assert np.abs(np.load("out.npy")[0] - cv2.imread("x.png", cv2.IMREAD_GRAYSCALE).ravel()).max() < 1e-3


def test_wrong_input(deploy_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = str(deploy_run / "065.png")
    Path("names.txt").write_text("one\n")
    Path("bad.png").write_bytes(b"no image")
    Path("bad.npy").write_bytes(b"no array")
    np.save("flat.npy", np.zeros((2, 3)))
    write_blobproto_file("mean2.binaryproto", np.zeros((1, 2, 16, 16)))
    for argv, message in (
        (["none.png"], "none.png"),
        (["bad.png"], "bad.png: not a readable image (8 bytes)"),
        (["bad.npy"], "bad.npy: not an .npy file of numbers"),
        (["flat.npy"], "flat.npy: shape: expected (images, height, width, channels), got (2, 3)"),
        ([".", "--ext=gif"], "no file in it ends in .gif"),
        ([image, "--labels_file=names.txt"], "names.txt: expected 4 names, one a line, got 1"),
        ([image, "--mean_file=mean2.binaryproto"], "mean2.binaryproto: mean of another shape: expected (3,) or"),
        ([image, "--images_dim=16"], "--images_dim: expected HEIGHT,WIDTH, got 16"),
        ([image, "--model_def=train_val.prototxt"], "tools/deploy.py makes such a net"),
    ):
        assert main([argv[0], *FLAGS, *argv[1:]]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
