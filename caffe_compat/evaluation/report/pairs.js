"use strict";
// Sorting and filtering of the pairs. Without this script everything is shown, in the page's own order.
{
  const table = document.getElementById("pairs");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");

  const valueOf = (row, column, kind) => {
    const value = row.cells[column].dataset.value;
    return kind === "number" ? Number(value) : value;
  };

  const sortBy = (column, kind) => {
    const before = heads[column].getAttribute("aria-sort");
    const ascending = before ? before === "descending" : kind === "text";
    const sign = ascending ? 1 : -1;
    const rows = [...body.rows].sort((a, b) => {
      const x = valueOf(a, column, kind), y = valueOf(b, column, kind);
      return sign * (kind === "number" ? x - y : x.localeCompare(y));
    });
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    body.append(...rows);
  };

  const filter = () => {
    const wanted = ["given", "suggested"].map((name) => [name, form.elements[name].value]);
    const fits = (element) => wanted.every(([name, value]) => value === "" || element.dataset[name] === value);
    const rows = [...body.rows];
    for (const element of [...rows, ...document.querySelectorAll("details.grid-of")]) element.hidden = !fits(element);
    const left = rows.filter((row) => !row.hidden);
    const images = left.reduce((sum, row) => sum + valueOf(row, 2, "number"), 0);
    shown.textContent = `${left.length} of ${rows.length} pairs, ${images.toLocaleString("en")} images`;
  };

  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => sortBy(column, button.dataset.sort));
  });
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  table.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link) document.querySelector(link.getAttribute("href")).open = true;
  });
  filter();
}
