#pragma once
#include <string_view>

// What to_html() adds to tables where a browser runs scripts; without one they are read as they stand.
namespace cmc::analysis {

// A header sorts its column: by what a figure is in full, else as text; what was not measured stays at the end. Above a
// table of many rows stands a field; rows without all of its words are hidden.
inline constexpr std::string_view page_script = R"(
const many = 10;

function valueOf(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.firstChild ? cell.firstChild.textContent : "";
  return text === "–" ? null : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", {numeric: true});
}

function sort(table, column, direction) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map(row => [valueOf(row, column), row]);
  rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : direction * compare(a, b));
  body.append(...rows.map(([, row]) => row));
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      sort(table, column, order === "ascending" ? 1 : -1);
    });
  });
}

function makeFilterable(table) {
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "rows with …";
  field.setAttribute("aria-label", "show rows with these words");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of table.tBodies[0].rows)
      row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
  });
  table.parentElement.before(field);
}

for (const table of document.querySelectorAll("figure table")) {
  makeSortable(table);
  if (table.tBodies[0].rows.length > many) makeFilterable(table);
}
)";

}  // namespace cmc::analysis
