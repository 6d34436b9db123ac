"use strict";
// Draws the charts of the report from the numbers beside them; no library, no network. Values come in shown units.

/** The value of a step function [[x, …], …] at x: the last row at or before it; null before the first. */
function rowAt(rows, x) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle][0] <= x) low = middle + 1; else high = middle;
  }
  return low ? rows[low - 1] : null;
}

/** Round ticks that cover [low, high]: powers of ten with 2 and 5 between on a log axis, else about five steps. */
function ticks(low, high, log) {
  if (!(high > low)) return [low];
  if (log) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      for (const digit of [1, 2, 5]) found.push(digit * 10 ** power);
    const inside = found.filter((value) => value >= low && value <= high);
    const tens = inside.filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9);
    return tens.length > 3 ? tens : inside;
  }
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((value) => value >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-12); i++) found.push(i * step);
  return found;
}

/** Where a value of [low, high] lies between the pixels from and to. */
function scale(low, high, from, to, log) {
  const f = log ? Math.log : (value) => value;
  const span = f(high) - f(low) || 1;
  return (value) => from + ((f(value) - f(low)) / span) * (to - from);
}

const shorten = (value) => (Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(+value.toPrecision(4)));

/** [low, high] of the shown values, with a little air. */
function extent(values, log) {
  const known = values.filter((value) => value !== null && Number.isFinite(value) && (!log || value > 0));
  if (!known.length) return null;
  const low = known.reduce((a, b) => Math.min(a, b)), high = known.reduce((a, b) => Math.max(a, b));
  if (log) return [low / 1.15, high * 1.15];
  const air = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - air, high + air];
}

/** The path of rows [x, y, …]: steps hold a value until the next x. */
function path(rows, x, y, steps, column = 1) {
  let text = "", before = null;
  for (const row of rows) {
    if (row[column] === null) continue;
    const [px, py] = [x(row[0]).toFixed(1), y(row[column]).toFixed(1)];
    text += text === "" ? `M${px} ${py}` : steps ? `H${px}V${py}` : `L${px} ${py}`;
    before = row;
  }
  return before ? text : "";
}

/** The closed outline of a band between columns 2 and 3. */
function band(rows, x, y, steps) {
  const known = rows.filter((row) => row[2] !== null && row[3] !== null);
  if (known.length < (steps ? 1 : 2)) return "";
  const there = path(known, x, y, steps, 3);
  let back = "";
  for (let i = known.length - 1; i >= 0; i--) {
    const [px, py] = [x(known[i][0]).toFixed(1), y(known[i][2]).toFixed(1)];
    back += steps ? `V${py}H${px}` : `L${px} ${py}`;
  }
  return there + back + "Z";
}

const GAP = 7, STEPS = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5], MANY = 8;

/** Do two boxes [left, top, right, bottom] have a place in common? */
const meet = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

/** For each point [x, y] the box of its name in the area, right or left of it; null where there is no room for it. */
function placed(points, widths, height, area) {
  const taken = points.map(([x, y]) => [x - GAP, y - GAP, x + GAP, y + GAP]), found = points.map(() => null);
  const free = (box) => box[0] >= area[0] && box[2] <= area[2] && box[1] >= area[1] && box[3] <= area[3] && !taken.some((one) => meet(box, one));
  for (const i of [...points.keys()].sort((a, b) => points[a][1] - points[b][1])) {
    const [x, y] = points[i];
    const boxes = STEPS.flatMap((step) => [x + GAP, x - GAP - widths[i]].map((left) => {
      const top = y + (step - 0.5) * height;
      return [left, top, left + widths[i], top + height];
    }));
    found[i] = boxes.find(free) || null;
    if (found[i]) taken.push(found[i]);
  }
  return found;
}

function element(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function marker(shape, x, y, colour) {
  const shapes = {
    circle: `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0`, square: `M${x - 4} ${y - 4}h8v8h-8z`,
    up: `M${x} ${y - 5}l5 9h-10z`, diamond: `M${x} ${y - 6}l5 6l-5 6l-5 -6z`,
    down: `M${x} ${y + 5}l5 -9h-10z`, cross: `M${x - 5} ${y - 2}h3v-3h4v3h3v4h-3v3h-4v-3h-3z`,
  };
  return element("path", { d: shapes[shape], fill: colour, class: "marker" });
}

/** Names beside the markers, as [label, x, y]. */
function name(svg, marked, box) {
  const texts = marked.map(([label]) => element("text", { class: "name" }, label));
  svg.append(...texts);
  const area = [box.left, box.top, box.right, box.bottom];
  const boxes = placed(marked.map(([, x, y]) => [x, y]), texts.map((text) => text.getComputedTextLength()), 12, area);
  boxes.forEach((found, i) => {
    if (!found) return texts[i].remove();
    const [, x, y] = marked[i], [left, top, right, bottom] = found, middle = (top + bottom) / 2;
    texts[i].setAttribute("x", left);
    texts[i].setAttribute("y", bottom - 3);
    if (middle !== y) svg.append(element("line", { class: "axis", x1: x, y1: y, x2: left > x ? left : right, y2: middle }));
  });
}

function draw(figure, chart, state) {
  const width = Math.max(300, figure.clientWidth), height = Math.min(420, Math.max(240, width * 0.55));
  const box = { left: 48, right: width - 10, top: 24, bottom: height - 42 };
  const axis = chart.axes[state.axis], shown = chart.series.filter((series) => !state.hidden.has(series.label));
  const marked = [];
  const wholeOf = (series) => series.rows[state.axis] || [], beyondOf = (series) => series.beyond?.[state.axis] || [];
  const rowsOf = (series) => [...wholeOf(series), ...beyondOf(series).slice(wholeOf(series).length ? 1 : 0)];
  const endOf = (series) => series.ends?.[state.axis];
  const rows = shown.flatMap((series) => [...rowsOf(series), ...(endOf(series) ? [endOf(series)] : [])]);
  const xs = extent(rows.map((row) => row[0]), axis.log), ys = extent(rows.flatMap((row) => row.slice(1)), false);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": chart.title });
  figure.querySelector("svg.chart")?.remove();
  svg.classList.add("chart");
  figure.prepend(svg);
  if (!xs || !ys) {
    svg.append(element("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing measured here"));
    return null;
  }
  const x = scale(...xs, box.left, box.right, axis.log), y = scale(...ys, box.bottom, box.top, false);
  for (const value of ticks(...ys, false)) {
    svg.append(element("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }));
    svg.append(element("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, shorten(value)));
  }
  for (const value of ticks(...xs, axis.log)) {
    svg.append(element("line", { class: "axis", x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 5 }));
    svg.append(element("text", { x: x(value), y: box.bottom + 18, "text-anchor": "middle" }, shorten(value)));
  }
  svg.append(element("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  svg.append(element("text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, axis.label));
  svg.append(element("text", { x: 4, y: 12, "font-weight": "600" }, chart.y));
  svg.append(element("path", { class: "front", d: path(chart.front?.[state.axis] || [], x, y, true) }));
  for (const series of shown) {
    const steps = chart.kind === "steps", mine = wholeOf(series), end = endOf(series);
    const ended = steps || chart.kind === "curve";
    if (chart.kind !== "points") {
      svg.append(element("path", { d: band(mine, x, y, steps), fill: series.colour, opacity: 0.13 }));
      const line = { d: path(mine, x, y, steps), fill: "none", stroke: series.colour, "stroke-width": 2 };
      svg.append(element("path", { ...line, "stroke-dasharray": series.dash }));
      // Beyond the cost that all replicates spent.
      svg.append(element("path", { ...line, d: path(beyondOf(series), x, y, steps), "stroke-width": 1, opacity: 0.35, class: "beyond" }));
    }
    // A curve gets one marker, at its end: that of a single trial is hardly a line.
    for (const [px, py, low, high] of end ? [end] : ended ? mine.slice(-1) : mine) {
      if (py === null) continue;
      const edge = { x1: x(px), x2: x(px), stroke: series.colour, opacity: 0.5 };
      if ((!steps || end) && low !== null && high !== null) svg.append(element("line", { ...edge, y1: y(low), y2: y(high) }));
      svg.append(marker(series.marker, x(px), y(py), series.colour));
      marked.push([series.label, x(px), y(py)]);
    }
  }
  if (chart.series.length > MANY && (chart.kind === "points" || chart.kind === "steps")) name(svg, marked, box);
  return { svg, x, box, xs, shown, rowsOf, log: axis.log };
}

function hover(figure, chart, view) {
  const tip = figure.querySelector(".tip");
  const line = element("line", { class: "axis", y1: view.box.top, y2: view.box.bottom, visibility: "hidden" });
  view.svg.append(line);
  const hide = () => { tip.hidden = true; line.setAttribute("visibility", "hidden"); };
  view.svg.addEventListener("pointerleave", hide);
  view.svg.addEventListener("pointermove", (event) => {
    const area = view.svg.getBoundingClientRect();
    const share = ((event.clientX - area.left) * (view.svg.viewBox.baseVal.width / area.width) - view.box.left) / (view.box.right - view.box.left);
    if (share < 0 || share > 1) return hide();
    const [low, high] = view.xs;
    const at = view.log ? low * (high / low) ** share : low + (high - low) * share;
    const nearest = (rows) => rows.reduce((a, b) => (a && Math.abs(a[0] - at) <= Math.abs(b[0] - at) ? a : b), null);
    const lines = view.shown.map((series) => {
      const row = chart.kind === "steps" ? rowAt(view.rowsOf(series), at) : nearest(view.rowsOf(series));
      const [, mean, under, over] = row || [];
      if (mean === undefined || mean === null) return `${series.label}  —`;
      return `${series.label}  ${mean.toFixed(2)}${under === null ? "" : ` [${under.toFixed(2)}, ${over.toFixed(2)}]`}`;
    });
    tip.textContent = [`${shorten(at)} ${chart.axes[figure.dataset.axis].unit}`, ...lines].join("\n");
    tip.hidden = false;
    tip.style.left = share > 0.5 ? "3.5rem" : "auto";
    tip.style.right = share > 0.5 ? "auto" : "0.5rem";
    line.setAttribute("visibility", "visible");
    line.setAttribute("x1", view.x(at));
    line.setAttribute("x2", view.x(at));
  });
}

function start(figure) {
  const chart = JSON.parse(figure.querySelector("script").textContent);
  const names = Object.keys(chart.axes), state = { axis: names[0], hidden: new Set() };
  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  const controls = Object.assign(document.createElement("div"), { className: "controls" });
  figure.append(tip, controls);
  const redraw = () => {
    figure.dataset.axis = state.axis;
    const view = draw(figure, chart, state);
    if (view) hover(figure, chart, view);
  };
  if (names.length > 1) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", "axis");
    select.append(...names.map((name) => new Option(chart.axes[name].label, name)));
    select.addEventListener("change", () => { state.axis = select.value; redraw(); });
    controls.append(select);
  }
  for (const series of chart.series.length > 1 ? chart.series : []) {
    const button = document.createElement("button"), key = element("svg", { viewBox: "0 0 28 10" });
    const line = { x1: 0, x2: 28, y1: 5, y2: 5, stroke: series.colour, "stroke-width": 2, "stroke-dasharray": series.dash };
    if (chart.kind !== "points") key.append(element("line", line));
    key.append(marker(series.marker, 14, 5, series.colour));
    button.append(key, series.label);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      if (!state.hidden.delete(series.label)) state.hidden.add(series.label);
      button.setAttribute("aria-pressed", String(!state.hidden.has(series.label)));
      redraw();
    });
    controls.append(button);
  }
  new ResizeObserver(redraw).observe(figure.parentElement);
  redraw();
}

if (typeof document === "undefined") module.exports = { rowAt, ticks, scale, extent, path, band, placed };
else document.querySelectorAll("figure[data-chart]").forEach(start);
