"""The label report, opened in a real browser at two widths, and its numbers."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_scoring import CLASSES, ScoringCase

from caffe_compat.cli.apply_decisions import main as apply_decisions
from caffe_compat.cli.score_labels import main
from caffe_compat.datasets import layout
from caffe_compat.datasets.pairs import read_pairs
from caffe_compat.datasets.truth import write_truth
from caffe_compat.evaluation.label_quality.scores_file import read_scores
from caffe_compat.evaluation.report import gather, page

pytest.importorskip("pyarrow")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (400, 1400)
RECORDS = 90


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> ScoringCase:
    """Scored with the truth of three fifths of its images."""
    case = ScoringCase(tmp_path_factory.mktemp("report"), RECORDS)
    truth = np.random.default_rng(8).integers(0, CLASSES, RECORDS).tolist()
    known = [pair for number, pair in enumerate(zip(case.keys, truth, strict=True)) if number % 5 < 3]
    write_truth(case.folder / "truth.csv", known)
    (case.folder / "names.txt").write_text(
        'a coat with a long name and many buttons\n<b>"dress" & co</b>\nshirt\nvest\n'
    )
    arguments = case.arguments("--truth", str(case.folder / "truth.csv"))
    assert main([*arguments, "--report", str(case.folder / "report.html")]) == 0
    return case


def rows_of(case: ScoringCase) -> list[dict]:
    rows = [row for batch in read_scores(case.folder / "labels.parquet") for row in batch.to_pylist()]
    return [row for row in rows if row["clean"] is None]


# --- numbers ------------------------------------------------------------------------------------------------------


def test_numbers_are_those_of_the_scores(case: ScoringCase) -> None:
    content, rows = gather(read_scores(case.folder / "labels.parquet")), rows_of(case)
    assert content.records == len(rows) and content.with_clean_label == len(case.scored) - len(rows) > 0
    both = [(clean, noisy) for clean, noisy in zip(case.clean, case.noisy, strict=True) if clean >= 0 and noisy >= 0]
    assert content.clean_differs == sum(clean != noisy for clean, noisy in both) > 0
    share = f"{content.clean_differs / len(both):.1%} of their noisy labels are wrong"
    assert share in (case.folder / "report.html").read_text(encoding="utf-8")
    assert content.expected_wrong == pytest.approx(sum(row["p_wrong"] for row in rows))
    assert content.before.tolist() == [sum(row["noisy"] == label for row in rows) for label in range(CLASSES)]
    assert content.after.tolist() == [sum(row["suggested"] == label for row in rows) for label in range(CLASSES)]
    for label in range(CLASSES):
        of_label = [row["q_type_confusing"] for row in rows if row["noisy"] == label]
        assert content.types_by_label[label, 2] == pytest.approx(np.mean(of_label))
    assert content.types_of_images[0] == pytest.approx(np.mean([row["p_type_free"] for row in rows]))
    assert sum(pair.records for pair in content.pairs) == len(rows)
    shown = [example.key for pair in content.pairs for example in pair.examples]
    changed = [row["key"] for row in rows if row["suggested"] != row["noisy"]]
    assert shown and set(shown) <= set(changed)
    for pair in content.pairs:
        assert [example.p_wrong for example in pair.examples] == sorted(
            (example.p_wrong for example in pair.examples), reverse=True
        )
        known = [row for row in rows if (row["noisy"], row["suggested"]) == (pair.noisy, pair.suggested)]
        known = [row for row in known if row["truth"] is not None]
        assert (pair.known, pair.known_wrong) == (len(known), sum(row["truth"] != row["noisy"] for row in known))


def test_trust_is_measured_where_the_truth_was_kept_from_the_net(case: ScoringCase) -> None:
    trust = gather(read_scores(case.folder / "labels.parquet")).trust
    assert trust is not None
    known = [row for row in rows_of(case) if row["truth"] is not None]
    assert trust.records == len(known) > 10
    assert trust.without_truth > 0 and trust.seen_in_training > 0
    assert trust.right_before == pytest.approx(np.mean([row["noisy"] == row["truth"] for row in known]))
    assert trust.right_after == pytest.approx(np.mean([row["suggested"] == row["truth"] for row in known]))
    assert trust.precision[-1] == pytest.approx(trust.wrong / len(known)) and trust.ranks[-1] == len(known)


def test_without_truth_it_says_that_nothing_is_measured(case: ScoringCase, tmp_path: Path) -> None:
    arguments = [*case.arguments("--report", str(tmp_path / "report.html")), "--force"]
    arguments[arguments.index("--out") + 1] = str(tmp_path / "labels.parquet")
    assert main(arguments) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing here is measured: no true label was given." in text and "measured wrong" not in text


@pytest.mark.parametrize("with_truth", [True, False])
def test_every_noisy_label_also_has_a_clean_one(tmp_path: Path, with_truth: bool) -> None:
    """There is nothing to judge, and truth that the net was trained with measures nothing."""
    case = ScoringCase(tmp_path, records=12)
    clean = [label if label >= 0 else 0 for label in case.clean]
    shutil.rmtree(tmp_path / layout.MIXED_CLEAN_LABELS)
    case.write_labels(layout.MIXED_CLEAN_LABELS, [clean[position] for position in case.order])
    arguments = case.arguments("--report", str(tmp_path / "report.html"))
    if with_truth:
        write_truth(tmp_path / "truth.csv", [(key, 0) for key in case.keys])
        arguments += ["--truth", str(tmp_path / "truth.csv")]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # a mean over nothing
        assert main(arguments) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "nan" not in text.partition('<section id="trust">')[0].partition("<header>")[2]
    assert "<b>0</b><span>labels judged</span>" in text
    why = f"trained with a clean label of all {len(case.scored)} images whose true label was given"
    assert (why if with_truth else "no true label was given") in text


def test_many_classes_have_no_picture(case: ScoringCase) -> None:
    """The matrix is told in words where its cells could not be seen."""
    content = gather(read_scores(case.folder / "labels.parquet"))
    assert '<svg class="heat"' in page(content)
    many = 61
    object.__setattr__(content.info, "class_names", [f"class {label}" for label in range(many)])
    wide = np.zeros((many, many))
    wide[:CLASSES, :CLASSES] = content.confusion
    object.__setattr__(content, "confusion", wide)
    object.__setattr__(content, "types_by_label", np.zeros((many, 3)))
    for name in ("before", "after"):
        object.__setattr__(content, name, np.zeros(many, np.int64))
    assert "61 classes are too many for a picture" in page(content)


# --- in a browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=WIDTHS)
def opened(browser: Any, case: ScoringCase, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The report at one width; requests other than for the page itself and errors in its script make the test fail."""
    window = browser.new_page(viewport={"width": request.param, "height": 800})
    window.set_default_timeout(10_000)
    requests, problems = [], []
    window.on("request", lambda asked: requests.append(asked.url))
    window.on("pageerror", lambda error: problems.append(str(error)))
    window.on("console", lambda message: problems.append(message.text))
    address = (case.folder / "report.html").as_uri()
    window.goto(address)
    yield window
    window.close()
    assert {url for url in requests if not url.startswith(("data:", "blob:"))} == {address}
    assert problems == []


def column(window: Any, number: int) -> list[str]:
    """The cells of a column of pairs, those that are shown."""
    return window.locator(f"#pairs tbody tr:not([hidden]) td:nth-child({number})").all_inner_texts()


def test_it_fits_the_window_and_shows_its_images(opened: Any) -> None:
    """So does one of more classes: what is wide scrolls on its own."""
    width = opened.viewport_size["width"]
    opened.locator("svg.heat").evaluate("heat => { heat.style.minWidth = '1500px'; }")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    measured = "images => images.map(i => [i.complete * i.naturalWidth, i.getBoundingClientRect()])"
    images = opened.locator("details[open] img").evaluate_all(measured)
    assert len(images) > 3
    assert all(loaded > 0 and 0 <= box["left"] and box["right"] <= width for loaded, box in images)
    assert opened.locator("h2").all_inner_texts() == [
        "What the noise is", "Labels to look at first", "Labels before and after", "How far to trust it",
    ]  # fmt: skip
    assert opened.locator("svg.heat").bounding_box()["height"] > 100
    assert opened.locator("svg.chart").count() == 2


def test_pairs_are_sorted_by_mouse_and_by_keyboard(opened: Any) -> None:
    at_first = column(opened, 1)
    images = opened.get_by_role("button", name="images", exact=True)
    images.click()
    counts = [int(text) for text in column(opened, 3)]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) > 1
    images.focus()
    opened.keyboard.press("Enter")
    assert [int(text) for text in column(opened, 3)] == sorted(counts)
    assert opened.locator('th[aria-sort="ascending"]').inner_text() == "images"
    opened.get_by_role("button", name="given", exact=True).click()
    assert column(opened, 1) == sorted(at_first)
    assert opened.locator("th[aria-sort]").count() == 1


def test_pairs_and_images_are_filtered(opened: Any) -> None:
    everything = column(opened, 1)
    opened.get_by_role("combobox", name="Given label").select_option("shirt")
    assert set(column(opened, 1)) == {"shirt"} and len(column(opened, 1)) < len(everything)
    grids = opened.locator("details.grid-of:not([hidden]) summary").all_inner_texts()
    assert grids and all(text.startswith("shirt → ") for text in grids)
    pairs = f"{len(column(opened, 1))} of {len(everything)} pairs"
    assert opened.locator("#shown").inner_text().startswith(pairs)
    opened.get_by_role("button", name="Show all").click()
    opened.wait_for_function("document.querySelectorAll('#pairs tr[hidden]').length === 0")
    assert column(opened, 1) == everything


def test_a_pair_leads_to_its_images(opened: Any) -> None:
    link = opened.locator("#pairs tbody a").last
    grid = opened.locator(link.get_attribute("href"))
    assert grid.get_attribute("open") is None
    link.click()
    assert grid.get_attribute("open") is not None and grid.locator("img").first.is_visible()


def test_decisions_are_downloaded_and_applied(opened: Any, case: ScoringCase, tmp_path: Path) -> None:
    figures = [figure for figure in opened.locator("details[open] figure").all() if figure.is_visible()]
    taken, kept, other, undone = figures[:4]
    bar = opened.locator("#decisions")
    assert not bar.is_visible()
    taken.locator(".decide button").first.click()
    kept.locator(".decide button").last.click()
    other.locator("select").focus()
    of_other = {name: other.get_attribute(f"data-{name}") for name in ("given", "suggested")}
    labels = [label for label in range(CLASSES) if str(label) not in of_other.values()]
    offered = other.locator("option").evaluate_all("options => options.map(option => option.value)")
    assert offered == ["", *map(str, labels)]
    other.locator("select").select_option(str(labels[0]))
    for _ in range(2):
        undone.locator(".decide button").first.click()
    count = opened.locator("figure[data-key]").count()
    assert bar.locator("output").inner_text() == f"3 of {count} images decided: 2 changed, 1 confirmed"

    opened.reload()
    assert opened.locator("figure.decided").count() == 3, "the browser has kept them"
    assert other.locator("select").input_value() == str(labels[0])
    assert taken.locator("button[aria-pressed=true]").count() == 1
    with opened.expect_download() as download:
        bar.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "decisions.csv"
    download.value.save_as(tmp_path / "decisions.csv")
    command = [str(tmp_path / "decisions.csv"), "--out", str(tmp_path / "additions.csv")]
    assert apply_decisions(command) == 2, "the list has no names beside it"
    assert apply_decisions([*command, "--names", str(case.folder / "names.txt")]) == 0
    expected = {
        figure.get_attribute("data-key"): (label, int(figure.get_attribute("data-given")))
        for figure, label in (
            (taken, int(taken.get_attribute("data-suggested"))),
            (kept, int(kept.get_attribute("data-given"))),
            (other, labels[0]),
        )
    }
    pairs = read_pairs(tmp_path / "additions.csv", CLASSES)
    assert {key: (clean, noisy) for key, clean, noisy in pairs} == expected

    opened.once("dialog", lambda dialog: dialog.accept())
    bar.get_by_role("button", name="Forget").click()
    assert not bar.is_visible() and opened.locator("[aria-pressed=true], .decided").count() == 0


def test_names_are_text(opened: Any) -> None:
    """A class may be called anything."""
    assert '<b>"dress" & co</b>' in column(opened, 1) + column(opened, 2)
    assert opened.evaluate("JSON.parse(document.getElementById('class-names').textContent)[1]") == '<b>"dress" & co</b>'


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(opened: Any) -> None:
    named = "controls => controls.map(c => [(c.labels?.[0] ?? c).textContent.trim(), c.tabIndex])"
    controls = opened.locator("button, select, summary, a").evaluate_all(named)
    assert len(controls) > 10 and all(name and place == 0 for name, place in controls)
    assert opened.locator("svg:not([aria-label])").count() == 0 and opened.locator("img:not([alt])").count() == 0
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "To the labels"


def test_dark_and_light_can_be_read(browser: Any, case: ScoringCase) -> None:
    """Contrast of text and links with the page, at least 4.5 to 1 (WCAG AA)."""
    for scheme in ("light", "dark"):
        window = browser.new_page(color_scheme=scheme)
        window.goto((case.folder / "report.html").as_uri())
        colour = "(e, name) => getComputedStyle(e)[name].match(/[\\d.]+/g).slice(0, 3).map(Number)"
        paper = luminance(window.locator("body").evaluate(f"e => ({colour})(e, 'backgroundColor')"))
        assert (paper > 0.5) == (scheme == "light")
        for what in ("h1", "nav a", ".soft", ".filter output", ".good", ".bad"):
            ink = luminance(window.locator(what).first.evaluate(f"e => ({colour})(e, 'color')"))
            assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 4.5, (scheme, what)
        window.close()


def luminance(rgb: list[float]) -> float:
    """Relative luminance. Source: WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
