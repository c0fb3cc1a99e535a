// Curves by uPlot: a pointer reads values off, dragging zooms, a double click goes back, a click on a name hides a line.
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name);
const short = value => value == null ? "–"
  : value && Math.abs(value) < 1e-4 ? String(value.toExponential(3)).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(4)));
const drawn = new Set();

// spec: title, over (what x is), lines of {label, colour, x, y, low and high of a band}, best (an x), log.
function chart(place, spec) {
  const box = place.appendChild(document.createElement("div"));
  box.className = "chart";
  const head = box.appendChild(document.createElement("header"));
  head.append(Object.assign(document.createElement("span"), {textContent: spec.title}));
  const values = spec.lines.flatMap(line => [line.y, line.low ?? [], line.high ?? []]).flat().filter(value => value != null);
  let plot, log = spec.log;
  const draw = () => {
    if (plot) { drawn.delete(plot); plot.destroy(); }
    plot = plotted(box, spec, log);
    drawn.add(plot);
  };
  if (values.every(value => value > 0)) {
    const button = head.appendChild(Object.assign(document.createElement("button"), {textContent: "log"}));
    button.title = "logarithmic axis";
    button.ariaPressed = log;
    button.onclick = () => { log = !log; button.ariaPressed = log; draw(); };
  }
  draw();
}

function plotted(box, spec, log) {
  const series = [{label: spec.over, value: (_, value) => short(value)}], bands = [], tables = [];
  const few = Math.max(...spec.lines.map(line => line.y.length)) < 40;
  for (const line of spec.lines) {
    const columns = [line.x, line.y];
    series.push({label: line.label, stroke: line.colour, width: line.width ?? 1.6, spanGaps: true, points: {show: few, size: 4},
      value: (_, value) => short(value)});
    if (line.low) {
      for (const [name, edge] of [["highest", line.high], ["lowest", line.low]]) {
        columns.push(edge);
        series.push({label: `${line.label} ${name}`, stroke: line.colour, width: .4, spanGaps: true, points: {show: false},
          value: (_, value) => short(value)});
      }
      bands.push({series: [series.length - 2, series.length - 1], fill: line.colour + "33"});
    }
    tables.push(columns);
  }
  const axis = {stroke: () => style("--text"), grid: {stroke: () => style("--line"), width: 1}, ticks: {stroke: () => style("--line")},
    font: "12px system-ui, sans-serif"};
  const steps = Array.from({length: 12}, (_, power) => [1, 2, 5].map(digit => digit * 10 ** power)).flat();
  // Of a logarithmic axis the powers of ten: all its lines would be a wall.
  const whole = (_, splits) => splits.map(split => !log || Number.isInteger(Math.round(Math.log10(split) * 1e6) / 1e6) ? split : null);
  const options = {
    width: box.clientWidth || 600, height: 240, series, bands,
    scales: {x: {time: false}, y: log ? {distr: 3} : {}},
    axes: [{...axis, incrs: steps, label: spec.over, labelSize: 20, labelFont: axis.font}, {...axis, size: 62, grid: {...axis.grid, filter: whole}, ticks: {...axis.ticks, filter: whole}, values: (_, ticks) => ticks.map(tick => tick == null ? "" : short(tick))}],
    cursor: {focus: {prox: 24}, sync: spec.sync ? {key: spec.sync, scales: ["x", null]} : undefined},
    focus: {alpha: spec.lines.length > 3 ? .25 : 1},
    hooks: {draw: spec.best == null ? [] : [plot => markBest(plot, spec.best)]},
  };
  return new uPlot(options, uPlot.join(tables), box);
}

function markBest(plot, x) {
  const at = plot.valToPos(x, "x", true), {ctx, bbox} = plot;
  if (at < bbox.left || at > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = "#7f7f7f";
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(at, bbox.top);
  ctx.lineTo(at, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

const data = JSON.parse(document.getElementById("data").textContent);
document.querySelectorAll("[data-charts]").forEach(place => data[place.dataset.charts].forEach(spec => chart(place, spec)));
addEventListener("resize", () => drawn.forEach(plot => plot.setSize({width: plot.root.parentNode.clientWidth, height: plot.height})));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(plot => plot.redraw()));
