// Mathematics, sortable tables and a filter. Every page reads without this file.
"use strict";

function drawMathematics() {
  const delimiters = [
    { left: "\\[", right: "\\]", display: true },
    { left: "\\(", right: "\\)", display: false },
  ];
  for (const element of document.querySelectorAll(".arithmatex"))
    renderMathInElement(element, { delimiters, throwOnError: false, ignoredTags: [] });
}

function sortable(table) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "kb-sort";
    button.append("\u2195");
    button.setAttribute("aria-label", `Sort by ${head.textContent.trim()}`);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent.trim();
      const rows = [...body.rows].sort((a, b) => text(a).localeCompare(text(b), "en", { numeric: true }));
      body.append(...(down ? rows.reverse() : rows));
    });
    head.append(" ", button);
  });
}

function filterable(table) {
  const box = document.createElement("p");
  box.className = "kb-filter";
  box.innerHTML = '<label>Filter <input type="search" placeholder="pathwise fixed"></label> <output></output>';
  const [input, count] = [box.querySelector("input"), box.querySelector("output")];
  const rows = [...table.tBodies[0].rows];
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length}`;
    // In the hash, so that a filtered table can be linked to, also from disk.
    const hash = words.length ? `#filter=${encodeURIComponent(input.value)}` : "";
    if (hash || location.hash.startsWith("#filter="))
      history.replaceState(null, "", hash || location.pathname + location.search);
  };
  const read = () => {
    if (location.hash.startsWith("#filter=")) input.value = decodeURIComponent(location.hash.slice(8));
    apply();
  };
  input.addEventListener("input", apply);
  window.addEventListener("hashchange", read);
  table.closest(".kb-scroll").before(box);
  read();
}

drawMathematics();
document.querySelectorAll("table.kb-sortable").forEach(sortable);
document.querySelectorAll("table.kb-filterable").forEach(filterable);
