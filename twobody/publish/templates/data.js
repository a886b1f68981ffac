/* What the archive holds, what is shown of it, and the address that says so. */
"use strict";

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { pairs, elements, labels, channels, size } = data;

/* Arrays come deflated, as base64 of their little-endian bytes. */
async function unpack(text, type) {
  const bytes = Uint8Array.from(atob(text ?? ""), (c) => c.charCodeAt(0));
  if (!bytes.length) return new type();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new type(await new Response(stream).arrayBuffer());
}

const arrays = {}; // filled at the start: values [label, pair] and so on
const valuesOf = (label) => arrays.values.subarray(label * pairs.length, (label + 1) * pairs.length);

const rank = new Map(elements.map(({ symbol }, k) => [symbol, k]));
const cells = pairs.map((pair) => pair.map((symbol) => rank.get(symbol)));
const pairAt = new Map(); // row * elements + column to the number of the pair
cells.forEach(([a, b], i) => [[a, b], [b, a]].forEach(([row, column]) => pairAt.set(row * elements.length + column, i)));
const pairIn = (row, column) => pairAt.get(row * elements.length + column);

/* The value in a cell of the map: where swapping the atoms changes the sign, it is of row to column. */
function valueIn(row, column) {
  const pair = pairIn(row, column);
  if (pair === undefined) return NaN;
  const value = valuesOf(state.label)[pair];
  return labels[state.label].antisymmetric && cells[pair][0] !== row ? 0 - value : value;
}

const nameOf = (pair) => pairs[pair].join("–");
const nameIn = (row, column) => `${elements[row].symbol}–${elements[column].symbol}`;

function withUnit(value, unit, digits = 8) {
  if (Number.isNaN(value)) return "missing";
  if (unit === "0/1") return value ? "yes" : "no";
  const number = String(Number(value.toPrecision(digits)) + 0).replaceAll("-", "−");
  return unit === "1" || !unit ? number : `${number} ${unit}`;
}

const titled = ({ title, unit }) => (["1", "0/1", ""].includes(unit) ? title : `${title} (${unit})`);

/* What is shown. The range is of the label; `picked` are places in `elements`. */
const state = { label: data.first_label, other: data.other_label,
                row: cells[data.first_pair][0], column: cells[data.first_pair][1],
                picked: [], both: false, low: null, high: null, sort: "pair", descending: false };

/* Whether each pair is one of those asked for. */
function kept() {
  const { picked, both, low, high, label } = state;
  const values = valuesOf(label);
  return cells.map((atoms, i) => {
    const isPicked = (atom) => picked.includes(atom);
    if (picked.length && !(both ? atoms.every(isPicked) : atoms.some(isPicked))) return false;
    return (low === null || values[i] >= low) && (high === null || values[i] <= high);
  });
}

/* Find a pair by what people write: Ag_Al, al-ag, "Na Cl", NaCl. */
function findPair(text) {
  const match = text.trim().match(/^([a-z]{1,2})[\s_–-]+([a-z]{1,2})$/i) ?? text.trim().match(/^([A-Z][a-z]?)([A-Z][a-z]?)$/);
  if (!match) return null;
  const atoms = match.slice(1).map((s) => rank.get(s[0].toUpperCase() + s.slice(1).toLowerCase()));
  return pairIn(...atoms) === undefined ? null : atoms;
}

/* The address holds what is not as at the start: #label=e_g_ev&pair=Ag_Al&elements=Na,K&low=1 */
const START = { ...state };

function toAddress() {
  const { label, other, row, column, picked, both, low, high } = state;
  const parts = new URLSearchParams();
  if (label !== START.label) parts.set("label", labels[label].name);
  if (other !== START.other) parts.set("other", labels[other].name);
  if (row !== START.row || column !== START.column) parts.set("pair", `${elements[row].symbol}_${elements[column].symbol}`);
  if (picked.length) parts.set("elements", picked.map((k) => elements[k].symbol));
  if (both) parts.set("both", "1");
  if (low !== null) parts.set("low", low);
  if (high !== null) parts.set("high", high);
  const address = parts.toString().replaceAll("%2C", ",");
  if (address !== location.hash.slice(1)) history.replaceState(null, "", `#${address}`);
}

function fromAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const labelNamed = (key) => {
    const found = labels.findIndex(({ name }) => name === parts.get(key));
    return found < 0 ? START[key] : found;
  };
  const number = (key) => (parts.get(key) && Number.isFinite(Number(parts.get(key))) ? Number(parts.get(key)) : null);
  const [row, column] = findPair(parts.get("pair") ?? "") ?? [START.row, START.column];
  const picked = (parts.get("elements") ?? "").split(",").map((s) => rank.get(s)).filter((k) => k !== undefined);
  Object.assign(state, { label: labelNamed("label"), other: labelNamed("other"), row, column, picked,
                         both: parts.get("both") === "1", low: number("low"), high: number("high") });
}
