/* The map: a label for every pair, element by element. */

const MAP_EDGE = 36; // room for two rows of symbols
const MAP_END = 8; // and right of the last column
const LEGEND = 54;
let pointed = null; // the cell under the pointer, [row, column]

const mapCell = (width) => (width - MAP_EDGE - MAP_END) / elements.length;
const mapHeight = (width) => width - MAP_END + LEGEND;

function drawMap(context, width, height, theme) {
  const n = elements.length, cell = mapCell(width), label = labels[state.label];
  const colourOf = colouring(label, theme), mask = kept();
  const edge = (k) => Math.round(MAP_EDGE + k * cell);
  for (let row = 0; row < n; row++) for (let column = 0; column < n; column++) {
    const pair = pairIn(row, column);
    if (pair === undefined) continue;
    const [x, y, w, h] = [edge(column), edge(row), edge(column + 1) - edge(column), edge(row + 1) - edge(row)];
    const colour = colourOf(valueIn(row, column));
    context.globalAlpha = mask[pair] ? 1 : 0.1;
    if (colour) {
      context.fillStyle = colour;
      context.fillRect(x, y, w, h);
    } else {
      context.strokeStyle = theme.missing;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, y + h);
      context.lineTo(x + w, y);
      context.stroke();
    }
  }
  context.globalAlpha = 1;
  drawPeriods(context, edge, theme);
  drawSymbols(context, cell, theme);
  [[state.row, state.column, theme.mark], ...(pointed ? [[...pointed, theme.ink]] : [])].forEach(([row, column, colour]) => {
    [[theme.panel, 5], [colour, 2.5]].forEach(([stroke, line]) => {
      context.strokeStyle = stroke;
      context.lineWidth = line;
      context.strokeRect(edge(column) - 2, edge(row) - 2, cell + 4, cell + 4);
    });
  });
  drawLegend(context, width, height, theme, label);
}

function drawPeriods(context, edge, theme) {
  const end = edge(elements.length);
  context.strokeStyle = theme.panel;
  context.lineWidth = 1.5;
  context.beginPath();
  data.period_starts.forEach((k) => {
    context.moveTo(edge(k), MAP_EDGE); context.lineTo(edge(k), end);
    context.moveTo(MAP_EDGE, edge(k)); context.lineTo(end, edge(k));
  });
  context.stroke();
}

/* Symbols stand in two rows, so that neighbours do not touch; on a narrow map those of every fifth element. */
function drawSymbols(context, cell, theme) {
  const every = cell >= 6.5 ? 1 : 5;
  const near = pointed ?? [state.row, state.column];
  elements.forEach(({ symbol }, k) => {
    if (k % every) return;
    const at = MAP_EDGE + (k + 0.5) * cell, out = k % 2 && every === 1 ? 26 : 10;
    [0, 1].forEach((axis) => {
      const isNear = near[axis] === k;
      const style = { colour: isNear ? theme.mark : theme.soft, size: 9.5, bold: isNear };
      if (axis) write(context, symbol, at, MAP_EDGE - out, style);
      else write(context, symbol, MAP_EDGE - out, at, style);
    });
  });
}

function swatch(context, x, y, colour, text, theme) {
  context.fillStyle = colour ?? theme.panel;
  context.fillRect(x, y, 14, 14);
  context.strokeStyle = colour ? theme.line : theme.missing;
  context.lineWidth = 1;
  context.strokeRect(x + 0.5, y + 0.5, 13, 13);
  if (!colour) {
    context.beginPath(); context.moveTo(x, y + 14); context.lineTo(x + 14, y); context.stroke();
  }
  write(context, text, x + 20, y + 7.5, { align: "left", colour: theme.ink });
  return x + 34 + context.measureText(text).width;
}

/* What the colours mean: a ramp with numbers, or two swatches of a flag, then zero and missing. */
function drawLegend(context, width, height, theme, label) {
  const values = valuesOf(state.label), count = (test) => values.reduce((n, v) => n + test(v), 0).toLocaleString("en");
  const top = height - LEGEND + 10, missing = count(Number.isNaN), zeros = count((v) => isZero(label, v));
  let x = MAP_EDGE;
  if (label.scale === "flag") {
    x = swatch(context, x, top, theme.yes, `yes (${count((v) => v === 1)})`, theme);
    x = swatch(context, x, top, theme.no, `no (${zeros})`, theme);
  } else if (label.count) {
    const { at, ramp } = scaleOf(label), length = Math.min(300, 0.5 * (width - MAP_EDGE));
    for (let k = 0; k < length; k++) {
      context.fillStyle = css(ramp[Math.round((255 * k) / length)]);
      context.fillRect(x + k, top, 1.5, 14);
    }
    let last = -Infinity;
    ticksOf(label, 5).forEach((tick) => {
      const place = x + at(tick) * length, half = context.measureText(asTick(tick)).width / 2;
      if (place - half < last + 6) return; // no room beside the one before
      last = place + half;
      write(context, asTick(tick), place, top + 24, { colour: theme.soft });
    });
    write(context, ["1", ""].includes(label.unit) ? "" : label.unit, x + length + 8, top + 7, { align: "left", colour: theme.soft });
    x += length + 44;
    if (label.scale === "root" && zeros !== "0") x = swatch(context, x, top, theme.zero, `${zeroText(label)} (${zeros})`, theme);
  }
  if (missing !== "0") {
    const fits = x + 110 < width;
    swatch(context, fits ? x : MAP_EDGE + Math.min(300, 0.5 * (width - MAP_EDGE)) + 44, fits ? top : top + 22, null, `missing (${missing})`, theme);
  }
}

/* The cell of the map at a pointer, or null where there is no pair. */
function cellAt(event) {
  const box = byId("map").getBoundingClientRect(), cell = mapCell(box.width);
  const [row, column] = [event.clientY - box.top, event.clientX - box.left].map((at) => Math.floor((at - MAP_EDGE) / cell));
  const inside = [row, column].every((k) => k >= 0 && k < elements.length);
  return inside && pairIn(row, column) !== undefined ? [row, column] : null;
}

/* Frame a cell that a pointer is over, on the map or in the periodic table; null for none. */
function point(cell) {
  pointed = cell;
  paint(byId("map"), mapHeight, drawMap, readTheme());
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/* Go to the next cell in that direction that has a pair. */
function onMapKey(event) {
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  let [row, column] = [state.row + step[0], state.column + step[1]];
  while (row >= 0 && column >= 0 && row < elements.length && column < elements.length) {
    if (pairIn(row, column) !== undefined) return change({ row, column });
    row += step[0];
    column += step[1];
  }
}

function describeCell(row, column, digits) {
  const label = labels[state.label];
  return `${nameIn(row, column)}: ${label.title} ${withUnit(valueIn(row, column), label.unit, digits)}`;
}
