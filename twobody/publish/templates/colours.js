/* Colours of values, and canvases that are sharp on every screen. */

const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c",
                 "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
/* From blue over white to red, told apart with any kind of colour vision (ColorBrewer's RdBu). */
const DIVERGING = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7",
                   "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"];

const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

/* 256 steps of a list of colours, [red, green, blue]. */
function steps(list) {
  return Array.from({ length: 256 }, (_, k) => {
    const at = (k / 255) * (list.length - 1), left = Math.min(Math.floor(at), list.length - 2);
    const [from, to] = [rgb(list[left]), rgb(list[left + 1])];
    return from.map((c, i) => Math.round(c + (to[i] - c) * (at - left)));
  });
}
const RAMPS = { sequential: steps(VIRIDIS), diverging: steps(DIVERGING) };

/* The scale of a label: where a value stands between 0 and 1, and the value that stands there. */
function scaleOf({ scale, min, max }) {
  const limit = Math.max(-min, max) || 1, span = max - min || 1;
  if (scale === "diverging") return { at: (v) => 0.5 + v / limit / 2, from: (t) => (2 * t - 1) * limit, ramp: RAMPS.diverging };
  if (scale === "root") return { at: (v) => Math.sqrt(v / limit), from: (t) => t * t * limit, ramp: RAMPS.sequential };
  return { at: (v) => (v - min) / span, from: (t) => min + t * span, ramp: RAMPS.sequential };
}

const css = ([r, g, b]) => `rgb(${r}, ${g}, ${b})`;

/* Whether a value is 0, or so small that it is rounding. */
const isZero = ({ rounding }, value) => value === 0 || Math.abs(value) < rounding;
const zeroText = ({ rounding, unit }) => (rounding ? `below ${asTick(rounding)} ${unit}` : "exactly 0");

/* A function from a value of a label to a colour; null where it is missing. */
function colouring(label, theme) {
  const { at, ramp } = scaleOf(label);
  const colours = ramp.map(css);
  return (value) => {
    if (Number.isNaN(value)) return null;
    if (label.scale === "flag") return value ? theme.yes : theme.no;
    const drawn = isZero(label, value) ? 0 : value;
    if (label.scale === "root" && drawn === 0) return theme.zero;
    return colours[Math.round(255 * Math.min(1, Math.max(0, at(drawn))))];
  };
}

/* Black or white, whichever is read more easily on a colour "rgb(r, g, b)" (WCAG's luminance). */
function inkOn(colour) {
  const [r, g, b] = colour.match(/\d+/g).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/* The colours of the style sheet as they are now, by name. */
function readTheme() {
  const probe = document.body.appendChild(document.createElement("i"));
  const names = ["page", "panel", "ink", "soft", "line", "accent", "mark", "zero", "missing", "no", "yes", "bar"];
  const theme = Object.fromEntries(names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  }));
  probe.remove();
  return theme;
}

/* Numbers that people would write on an axis, about n of them. */
function ticks(low, high, n) {
  const raw = (high - low || 1) / n, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((k) => k * power >= raw);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, k) => Number(((first + k) * step).toPrecision(12)) + 0);
}
/* Ticks along the scale of a label: on a root scale evenly spaced, rounded to one digit. */
function ticksOf(label, n) {
  const { from } = scaleOf(label);
  if (label.scale !== "root") return ticks(from(0), from(1), n);
  return [...new Set(Array.from({ length: n + 1 }, (_, k) => Number(from(k / n).toPrecision(1))))].filter((v) => v <= from(1));
}
const asTick = (value) => (Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3) ? value.toExponential(0) : String(value)).replaceAll("-", "−");

/* Draw on a canvas as wide as its place; `draw` gets a context, the width, the height and a theme. */
function paint(canvas, heightOf, draw, theme, width = canvas.clientWidth, ratio = devicePixelRatio) {
  const height = heightOf(width);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "11px system-ui, sans-serif";
  draw(context, width, height, theme);
}

function write(context, text, x, y, { align = "center", colour, size: points = 11, bold = false } = {}) {
  context.font = `${bold ? "bold " : ""}${points}px system-ui, sans-serif`;
  context.textAlign = align;
  context.textBaseline = "middle";
  if (colour) context.fillStyle = colour;
  context.fillText(text, x, y);
}
