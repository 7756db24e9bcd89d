"use strict";
// Decisions on the images shown: kept in this browser, and taken away as a list that tools/apply_decisions.py reads.
{
  const section = document.getElementById("labels");
  const names = JSON.parse(document.getElementById("class-names").textContent);
  const bar = document.getElementById("decisions");
  const figures = [...section.querySelectorAll("figure[data-key]")];
  const store = `caffe_compat decisions ${section.dataset.report}`;
  const decided = new Map(); // key -> label
  let isKept = true;

  const keep = () => {
    try { localStorage.setItem(store, JSON.stringify([...decided])); } catch { isKept = false; }
  };

  const stored = () => {
    try {
      const found = JSON.parse(localStorage.getItem(store));
      return Array.isArray(found) ? found.filter(Array.isArray) : [];
    } catch { return []; }
  };

  const offerOthers = (select) => {
    const { given, suggested } = select.closest("figure").dataset;
    if (select.options.length > 1) return;
    names.forEach((name, label) => {
      if (String(label) !== given && String(label) !== suggested) select.add(new Option(name, label));
    });
  };

  const show = (figure) => {
    const label = decided.get(figure.dataset.key);
    let isOther = label !== undefined;
    for (const button of figure.querySelectorAll(".decide button")) {
      const pressed = button.dataset.label === label;
      button.setAttribute("aria-pressed", pressed);
      isOther &&= !pressed;
    }
    const select = figure.querySelector(".decide select");
    select.hidden = names.length <= 2; // there is no other class
    if (isOther) offerOthers(select);
    select.value = isOther ? label : "";
    figure.classList.toggle("decided", label !== undefined);
  };

  const count = () => {
    const changed = figures.filter(({ dataset }) => decided.has(dataset.key) && decided.get(dataset.key) !== dataset.given);
    const numbers = `${changed.length} changed, ${decided.size - changed.length} confirmed`;
    const hint = isKept ? "" : " (this browser does not keep them: download them before you close the page)";
    bar.querySelector("output").textContent = `${decided.size} of ${figures.length} images decided: ${numbers}${hint}`;
    bar.hidden = decided.size === 0;
  };

  const decide = (figure, label) => {
    if (label === undefined) decided.delete(figure.dataset.key);
    else decided.set(figure.dataset.key, label);
    show(figure);
    keep();
    count();
  };

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  const asList = () => {
    const rows = figures.filter(({ dataset }) => decided.has(dataset.key)).map(({ dataset }) =>
      [quoted(dataset.key), dataset.given, dataset.suggested, decided.get(dataset.key)].join(","));
    return ["key,noisy,suggested,decision", ...rows, ""].join("\n");
  };

  const download = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([asList()], { type: "text/csv" }));
    link.download = "decisions.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  const forget = () => {
    if (!confirm(`Forget ${decided.size} decisions?`)) return;
    decided.clear();
    figures.forEach(show);
    count();
    keep();
  };

  section.addEventListener("click", ({ target }) => {
    if (target.matches(".decide button")) {
      const isPressed = target.getAttribute("aria-pressed") === "true";
      decide(target.closest("figure"), isPressed ? undefined : target.dataset.label);
    }
  });
  section.addEventListener("focusin", ({ target }) => { if (target.matches(".decide select")) offerOthers(target); });
  section.addEventListener("change", ({ target }) => {
    if (target.matches(".decide select")) decide(target.closest("figure"), target.value === "" ? undefined : target.value);
  });
  bar.querySelector("[name=download]").addEventListener("click", download);
  bar.querySelector("[name=forget]").addEventListener("click", forget);

  const there = new Set(figures.map(({ dataset }) => dataset.key));
  for (const [key, label] of stored()) if (there.has(key)) decided.set(key, label);
  for (const figure of figures) {
    figure.querySelector(".decide").hidden = false;
    show(figure);
  }
  count();
}
