"use strict";
// Sorts and filters the table of instances. Without it the table is complete, and in its first order.

// Paper can't be unfolded.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not(.ids)")) folded.open = true;
});

(() => {
  const STEP = 500;
  const table = document.getElementById("nodes");
  const form = document.getElementById("filters");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const columns = heads.map((head) => head.dataset.column);
  const rows = [...body.rows].map((row) => ({
    row,
    values: [...row.cells].map((cell) => cell.textContent.trim()),
  }));
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const number = new Intl.NumberFormat("en").format;
  const selects = [...form.querySelectorAll("select")];
  const search = form.querySelector("input");
  const at = (name) => columns.indexOf(name);
  const parts = (text) => (text ? text.split(", ") : []);
  let order = rows;
  let limit = STEP;

  const matches = ({ values }) => {
    const text = search.value.trim().toLowerCase();
    return (
      (!text || values[at("id")].includes(text) || values[at("name")].toLowerCase().includes(text)) &&
      selects.every(({ value, name }) => !value || parts(values[at(name)]).includes(value))
    );
  };

  const show = () => {
    const found = order.filter(matches);
    const shown = found.slice(0, limit).map(({ row }) => row);
    body.replaceChildren(...shown);
    const left = found.length - shown.length;
    count.textContent =
      `${number(found.length)} of ${number(rows.length)} instances` +
      (left ? `, the first ${number(shown.length)} shown` : "");
    more.hidden = !left;
    more.textContent = `Show all ${number(found.length)}`;
  };

  const sort = (column) => {
    const up = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
    order = [...order].sort((one, other) => {
      const [a, b] = [one.values[column], other.values[column]];
      if (!a || !b) return !a - !b; // what is empty comes last in both directions
      return up ? compare(a, b) : compare(b, a);
    });
    show();
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });

  for (const select of selects) {
    const found = new Set(rows.flatMap(({ values }) => parts(values[at(select.name)])));
    for (const value of [...found].sort(compare)) select.add(new Option(value, value));
    select.addEventListener("change", show);
  }
  search.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    limit = Infinity;
    show();
  });
  addEventListener("beforeprint", () => more.click());
  for (const link of document.querySelectorAll("a[data-cause]")) {
    link.addEventListener("click", () => {
      form.reset();
      form.elements.cause.value = link.dataset.cause;
      show();
    });
  }

  form.hidden = false;
  show();
})();
