// Runs are filtered by words that their rows hold, and those that are ticked are compared.
const rows = [...document.querySelectorAll("#runs tbody tr")].map(row => {
  const tick = row.querySelector("input"), run = data.runs[tick.dataset.run];
  return {row, tick, run, words: row.textContent.toLowerCase()};
});
const words = document.getElementById("filter"), jobs = document.getElementById("jobs"), comparison = document.getElementById("comparison");

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/);
  let count = 0;
  for (const {row, run, words} of rows) {
    row.hidden = !wanted.every(word => words.includes(word)) || (run.job && !jobs.checked);
    count += !row.hidden;
  }
  document.getElementById("count").textContent = `${count} of ${rows.length} shown`;
}

const make = (kind, parent, text) => {
  const made = parent.appendChild(document.createElement(kind));
  if (text !== undefined) made.textContent = text;
  return made;
};

// A row for each key of which not all say the same.
function differing(title, tables) {
  const keys = [...new Set(tables.flatMap(Object.keys))].filter(key => new Set(tables.map(table => table[key])).size > 1);
  make("h3", comparison, title);
  if (!keys.length) return make("p", comparison, "They do not differ.");
  const box = make("div", comparison);
  box.className = "table plain";
  const table = make("table", box), head = make("tr", make("thead", table)), body = make("tbody", table);
  make("th", head, "");
  ticked().forEach(({run}) => make("th", head, run.name));
  for (const key of keys) {
    const row = make("tr", body);
    make("td", row, key);
    tables.forEach(table => make("td", row, typeof table[key] === "number" ? short(table[key]) : table[key] ?? ""));
  }
}

const ticked = () => rows.filter(({tick}) => tick.checked);

function compare() {
  const chosen = ticked().map(({run}) => run);
  comparison.replaceChildren();
  drawn.clear();
  for (const {tick} of rows) tick.disabled = !tick.checked && chosen.length >= data.colours.length;
  if (chosen.length < 2) return;
  make("h2", comparison, "Comparison");
  differing("Scores that differ", chosen.map(run => run.scores));
  differing("Config that differs", chosen.map(run => run.config));
  const names = [...new Set(chosen.flatMap(run => Object.keys(run.course.columns)))];
  if (!names.length) return;
  make("h3", comparison, "Curves");
  const place = make("div", comparison);
  place.className = "charts";
  const over = chosen.some(run => run.course.over === "step") ? "step" : "epoch";
  for (const name of names) {
    const lines = chosen.flatMap((run, index) => run.course.columns[name] && run.course.over === over
      ? [{label: run.name, colour: data.colours[index], x: run.course.x, y: run.course.columns[name]}] : []);
    const values = lines.flatMap(line => line.y).filter(value => value != null);
    const log = name.includes("loss") && Math.min(...values) > 0 && Math.max(...values) >= 10 * Math.min(...values);
    if (lines.length) chart(place, {title: name, over, lines, log});
  }
}

words.oninput = filter;
jobs.onchange = filter;
for (const {tick} of rows) {
  tick.checked = false;  // a browser remembers ticks when the page is loaded anew
  tick.onchange = compare;
}
filter();
