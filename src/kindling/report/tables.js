// Tables are sorted by a click on the head of a column, or by Enter on it; what is missing stays last.
document.querySelectorAll(".table:not(.plain) th").forEach(th => {
  const sort = () => {
    const body = th.closest("table").tBodies[0], down = th.ariaSort === "ascending";
    const key = row => row.cells[th.cellIndex].dataset.value ?? row.cells[th.cellIndex].textContent;
    const missing = text => text === "" || text === "nan";
    th.parentNode.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    th.ariaSort = down ? "descending" : "ascending";
    const keyed = [...body.rows].map(row => [key(row), row]);
    keyed.sort(([x], [y]) => {
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y) * (down ? -1 : 1);
    });
    body.append(...keyed.map(([, row]) => row));
  };
  th.tabIndex = 0;
  th.onclick = sort;
  th.onkeydown = event => event.key === "Enter" && sort();
});
