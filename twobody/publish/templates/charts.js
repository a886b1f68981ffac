/* The distribution of the label, and its points against another label. */

const FRAME = { left: 58, right: 14, top: 10, bottom: 42 };

/* A plot's frame with ticks and titles; returns where numbers lie in it. */
function axes(context, width, height, theme, x, y) {
  const right = width - FRAME.right, bottom = height - FRAME.bottom;
  const at = (axis, from, to) => (v) => from + ((v - axis.low) / (axis.high - axis.low || 1)) * (to - from);
  const [px, py] = [at(x, FRAME.left, right), at(y, bottom, FRAME.top)];
  context.lineWidth = 1;
  context.strokeStyle = theme.line;
  const tick = (values, draw) => values.forEach((v) => { context.beginPath(); draw(v); context.stroke(); });
  tick(x.ticks ?? ticks(x.low, x.high, width / 90), (v) => {
    context.moveTo(px(v), bottom); context.lineTo(px(v), bottom + 4);
    write(context, x.ticks ? x.words[v] : asTick(v), px(v), bottom + 13, { colour: theme.soft });
  });
  tick(ticks(y.low, y.high, height / 50), (v) => {
    context.moveTo(FRAME.left, py(v)); context.lineTo(right, py(v));
    write(context, asTick(v), FRAME.left - 6, py(v), { align: "right", colour: theme.soft });
  });
  write(context, x.title, (FRAME.left + right) / 2, height - 10, { colour: theme.ink, size: 12 });
  context.save();
  context.translate(10, (FRAME.top + bottom) / 2);
  context.rotate(-Math.PI / 2);
  write(context, y.title, 0, 0, { colour: theme.ink, size: 12 });
  context.restore();
  return [px, py];
}

const N_BARS = 48;

/* Bars of equal width on the label's own scale (so that a root scale shows the many small values). */
function bars() {
  const label = labels[state.label], { at, from } = scaleOf(label), mask = kept();
  const low = label.scale === "diverging" ? 0 : Math.min(1, Math.max(0, at(label.min)));
  const all = new Array(N_BARS).fill(0), some = new Array(N_BARS).fill(0), zero = [0, 0];
  valuesOf(state.label).forEach((value, i) => {
    if (Number.isNaN(value)) return;
    if (label.scale === "root" && isZero(label, value)) {
      zero[0] += 1;
      zero[1] += mask[i];
      return;
    }
    const bar = Math.max(0, Math.min(N_BARS - 1, Math.floor(((at(value) - low) / (1 - low || 1)) * N_BARS)));
    all[bar] += 1;
    some[bar] += mask[i];
  });
  const value = (bar) => from(low + (bar / N_BARS) * (1 - low));
  return { all, some, zero, value, place: (v) => ((at(v) - low) / (1 - low || 1)) * N_BARS };
}

/* The axis of the bars: on a root scale with a place of its own for exactly 0, left of the others. */
function barAxis(label, { value, place, zero }) {
  const low = zero[0] ? -4 : 0;
  let last = -Infinity;
  const inside = (v) => v >= value(0) && v <= value(N_BARS);
  const marks = label.scale === "flag" ? [0, 1] : ticksOf(label, 6).filter(inside);
  const places = label.scale === "flag" ? [2, N_BARS - 2] : marks.map(place);
  const words = {};
  places.forEach((at, k) => {
    if (at - last < 5 || (zero[0] && marks[k] === 0)) return;
    last = at;
    words[at] = label.scale === "flag" ? ["no", "yes"][k] : asTick(marks[k]);
  });
  if (zero[0]) words[-3] = "0";
  return { low, high: N_BARS, ticks: Object.keys(words).map(Number), words, title: titled(label) };
}

function drawHistogram(context, width, height, theme) {
  const label = labels[state.label];
  if (!label.count) return;
  const found = bars(), colourOf = colouring(label, theme), flag = label.scale === "flag";
  const axis = barAxis(label, found);
  // Where most values are 0 their bar would leave no room for the others: it is cut off.
  const highest = Math.max(...found.all), cut = found.zero[0] > 2 * highest;
  const y = { low: 0, high: (cut ? 1.2 : 1.05) * Math.max(highest, cut ? 0 : found.zero[0]), title: "pairs" };
  const [px, py] = axes(context, width, height, theme, axis, y);
  const draw = (from, to, all, some, colour) => {
    [[all, 0.25], [some, 1]].forEach(([n, alpha]) => {
      context.globalAlpha = alpha;
      context.fillStyle = colour;
      const top = Math.max(py(n), FRAME.top);
      context.fillRect(px(from) + 0.5, top, px(to) - px(from) - 1, py(0) - top);
    });
    context.globalAlpha = 1;
  };
  found.all.forEach((n, k) => {
    const wide = flag ? 4 : 1, from = flag && k ? N_BARS - wide : k;
    if (n) draw(from, from + wide, n, found.some[k], flag ? (k ? theme.yes : theme.no) : colourOf(found.value(k + 0.5)));
  });
  if (found.zero[0]) {
    draw(-4, -2, ...found.zero, theme.zero);
    if (cut) write(context, `${found.zero[0].toLocaleString("en")} ${zeroText(label)}`, px(-1.6), FRAME.top + 8, { align: "left", colour: theme.ink });
  }
  const value = valuesOf(state.label)[pairIn(state.row, state.column)];
  if (Number.isNaN(value)) return;
  const at = flag ? (value ? N_BARS - 2 : 2) : found.zero[0] && isZero(label, value) ? -3 : found.place(value);
  context.strokeStyle = theme.mark;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(px(at), FRAME.top); context.lineTo(px(at), py(0));
  context.stroke();
}

/* Dragging over the bars keeps the values between; a click lets all in again. */
let dragFrom = null;

function barAt(event) {
  const box = byId("histogram").getBoundingClientRect(), found = bars();
  const { low } = barAxis(labels[state.label], found);
  const share = (event.clientX - box.left - FRAME.left) / (box.width - FRAME.left - FRAME.right);
  const at = low + share * (N_BARS - low);
  return at < 0 ? 0 : found.value(Math.min(N_BARS, at));
}

function onDragEnd(event) {
  if (dragFrom === null) return;
  const range = [dragFrom, barAt(event)].sort((a, b) => a - b).map((v) => Number(v.toPrecision(3)));
  dragFrom = null;
  change(range[0] === range[1] ? { low: null, high: null } : { low: range[0], high: range[1] });
}

/* Points of all pairs that have both labels: [pair, x, y] in numbers of the labels. */
function points() {
  const [xs, ys] = [valuesOf(state.other), valuesOf(state.label)];
  return pairs.map((_, i) => [i, xs[i], ys[i]]).filter(([, x, y]) => !Number.isNaN(x) && !Number.isNaN(y));
}

const padded = ({ min, max }) => ({ low: min - 0.03 * (max - min || 1), high: max + 0.03 * (max - min || 1) });
let scatterPlaces = []; // [pair, x, y] on the canvas, for the pointer

function drawScatter(context, width, height, theme) {
  const [x, y] = [labels[state.other], labels[state.label]], found = points(), mask = kept();
  scatterPlaces = [];
  if (!found.length) return;
  const [px, py] = axes(context, width, height, theme, { ...padded(x), title: titled(x) }, { ...padded(y), title: titled(y) });
  scatterPlaces = found.map(([i, a, b]) => [i, px(a), py(b)]);
  const dot = (i, a, b, radius) => { context.beginPath(); context.arc(a, b, radius, 0, 7); context.fill(); };
  [false, true].forEach((inside) => {
    context.fillStyle = inside ? theme.bar : theme.soft;
    context.globalAlpha = inside ? 0.65 : 0.15;
    scatterPlaces.forEach(([i, a, b]) => { if (mask[i] === inside) dot(i, a, b, inside ? 2.5 : 2); });
  });
  context.globalAlpha = 1;
  context.fillStyle = theme.mark;
  scatterPlaces.filter(([i]) => i === pairIn(state.row, state.column)).forEach(([i, a, b]) => dot(i, a, b, 5));
}

/* The pair whose point is nearest to the pointer, within reach; null where there is none. */
function pointAt(event) {
  const box = byId("scatter").getBoundingClientRect();
  let nearest = null, least = 15 ** 2;
  scatterPlaces.forEach(([i, x, y]) => {
    const far = (event.clientX - box.left - x) ** 2 + (event.clientY - box.top - y) ** 2;
    if (far < least) [nearest, least] = [i, far];
  });
  return nearest;
}
