/* The page as a whole: it is drawn again after every change. */

const plotHeight = (width) => Math.max(240, Math.min(380, 0.6 * width));
const CHARTS = { map: [mapHeight, drawMap], histogram: [plotHeight, drawHistogram], scatter: [plotHeight, drawScatter] };

function change(what) {
  if ("label" in what && what.label !== state.label) Object.assign(state, { low: null, high: null });
  Object.assign(state, what);
  show();
  toAddress();
}

function show() {
  const theme = readTheme(), label = labels[state.label], keep = kept(), { row, column } = state;
  const many = keep.filter(Boolean).length.toLocaleString("en");
  byId("label").value = String(state.label);
  byId("other").value = String(state.other);
  byId("low").value = state.low ?? "";
  byId("high").value = state.high ?? "";
  byId("unit").textContent = ["1", "0/1"].includes(label.unit) ? "" : label.unit;
  byId("shown").textContent = `${many} of ${pairs.length.toLocaleString("en")} pairs`;
  byId("label-heading").textContent = titled(label);
  byId("name").textContent = label.name;
  byId("meaning").textContent = label.meaning;
  byId("sign").textContent = label.antisymmetric
    ? "Read the sign from row to column: it is positive where the column's element is the positive end, and changes when the two are swapped. A range is of the pairs as the archive names them."
    : "";
  byId("value").textContent = describeCell(row, column);
  const statistics = ["mean", "std", "min", "median", "max"].map((key) => `${key} ${withUnit(label[key] ?? NaN, label.unit === "0/1" ? "1" : label.unit, 5)}`);
  byId("statistics").textContent = [`${label.count.toLocaleString("en")} of ${pairs.length.toLocaleString("en")} pairs have it`,
                                    ...(label.count ? statistics : [])].join("; ");
  byId("histogram").setAttribute("aria-label", `Histogram of ${label.title}`);
  byId("scatter").setAttribute("aria-label", `${label.title} against ${labels[state.other].title}, a point a pair`);
  Object.entries(CHARTS).forEach(([id, [height, draw]]) => paint(byId(id), height, draw, theme));
  showElements(theme);
  showPair();
  showTable(keep);
}

const ROWS = 100; // of the table on the page; the CSV file holds all

/* The columns of the table: what to sort by, and what stands in the heading. */
function columnsOf() {
  return [["pair", "pair"], ...[...new Set([state.label, state.other])].map((k) => [labels[k].name, titled(labels[k]), k])];
}

function sorted(keep) {
  const by = labelNamed(state.sort), sign = state.descending ? -1 : 1;
  const found = pairs.map((_, i) => i).filter((i) => keep[i]);
  if (by < 0) return state.descending ? found.reverse() : found;
  const values = valuesOf(by);
  // What is missing stands last, in either order.
  return found.sort((i, j) => Number.isNaN(values[i]) - Number.isNaN(values[j]) || sign * (values[i] - values[j]) || i - j);
}

function button(text, onClick) {
  const item = document.createElement("button");
  Object.assign(item, { type: "button", textContent: text, className: "link" });
  item.addEventListener("click", onClick);
  return item;
}

function showTable(keep) {
  const columns = columnsOf(), found = sorted(keep), chosen = pairIn(state.row, state.column);
  if (!columns.some(([name]) => name === state.sort)) state.sort = "pair";
  byId("table").querySelector("thead tr").replaceChildren(...columns.map(([name, title]) => {
    const th = document.createElement("th");
    th.scope = "col";
    const here = state.sort === name;
    if (here) th.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    th.append(button(title, () => change({ sort: name, descending: here && !state.descending })), here ? (state.descending ? " ↓" : " ↑") : "");
    return th;
  }));
  byId("table").querySelector("tbody").replaceChildren(...found.slice(0, ROWS).map((i) => {
    const tr = document.createElement("tr");
    if (i === chosen) tr.setAttribute("aria-current", "true");
    tr.append(...columns.map(([, , k]) => {
      const td = document.createElement("td");
      if (k === undefined) td.append(button(nameOf(i), () => choose(i)));
      else td.textContent = withUnit(valuesOf(k)[i], labels[k].unit === "0/1" ? "0/1" : "1");
      return td;
    }));
    return tr;
  }));
  const first = found.length > ROWS ? `The first ${ROWS} of ` : "";
  byId("rows").textContent = `${first}${found.length.toLocaleString("en")} pairs. The file holds all of them.`;
}

const choose = (pair) => change({ row: cells[pair][0], column: cells[pair][1] });

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/* Pictures are drawn anew: three times as fine, on white paper, with a title. */
function savePicture(id) {
  const scheme = document.documentElement.style.colorScheme, TITLE = 28;
  document.documentElement.style.colorScheme = "light";
  const theme = readTheme(), [heightOf, draw] = CHARTS[id], canvas = document.createElement("canvas");
  document.documentElement.style.colorScheme = scheme;
  paint(canvas, (width) => heightOf(width) + TITLE, (context, width, height) => {
    context.fillStyle = theme.panel;
    context.fillRect(0, 0, width, height);
    write(context, `${titled(labels[state.label])}, ${data.file}`, 8, TITLE / 2, { align: "left", colour: theme.ink, size: 13, bold: true });
    context.translate(0, TITLE);
    draw(context, width, height - TITLE, theme);
  }, theme, 720, 3);
  show(); // the places of the points are those of the page again
  canvas.toBlob((blob) => save(blob, `${labels[state.label].name}_${id}.png`));
}

/* The pairs that are shown, in the order of the table, with every label as it is in the archive. */
function csv() {
  const lines = sorted(kept()).map((i) => [pairs[i].join("_"), ...labels.map((_, k) => valuesOf(k)[i])]
    .map((cell) => (Number.isNaN(cell) ? "" : String(cell))).join(","));
  return `${[["pair_name", ...labels.map(({ name }) => name)].join(","), ...lines].join("\n")}\n`;
}

function addOptions(select) {
  const groups = [...new Set(labels.map(({ group }) => group))];
  groups.forEach((group) => {
    const part = select.appendChild(document.createElement("optgroup"));
    part.label = group || "other";
    labels.forEach((label, k) => { if (label.group === group) part.append(new Option(titled(label), k)); });
  });
}

function showTip(event, text) {
  const tip = byId("tip");
  tip.hidden = !text;
  tip.textContent = text ?? "";
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - box.width - 4)}px`;
  tip.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18}px`;
}

function onPair(event) {
  const found = findPair(event.target.value);
  event.target.setAttribute("aria-invalid", String(found === null));
  if (found) change({ row: found[0], column: found[1] });
  else byId("value").textContent = `There is no pair ${event.target.value}.`;
}

function listen() {
  const on = (id, type, act) => byId(id).addEventListener(type, act);
  const number = (event) => (event.target.value === "" ? null : Number(event.target.value));
  on("label", "change", (event) => change({ label: Number(event.target.value) }));
  on("other", "change", (event) => change({ other: Number(event.target.value) }));
  on("both", "change", (event) => change({ both: event.target.value === "1" }));
  on("low", "change", (event) => change({ low: number(event) }));
  on("high", "change", (event) => change({ high: number(event) }));
  on("pair", "change", onPair);
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  on("clear", "click", () => change({ picked: [], both: false, low: null, high: null }));
  on("map", "keydown", onMapKey);
  on("map", "click", (event) => {
    const cell = cellAt(event);
    if (cell) change({ row: cell[0], column: cell[1] });
  });
  on("map", "pointermove", (event) => {
    const cell = event.pointerType === "touch" ? null : cellAt(event);
    if (String(cell) === String(pointed)) return cell && showTip(event, byId("tip").textContent);
    showTip(event, cell && describeCell(...cell, 5));
    point(cell);
  });
  on("scatter", "pointermove", (event) => {
    const pair = pointAt(event), shown = [state.label, state.other].map((k) => labels[k]);
    showTip(event, pair === null ? null : [nameOf(pair), ...shown.map((label) => `${label.title} ${withUnit(valuesOf(labels.indexOf(label))[pair], label.unit, 5)}`)].join("\n"));
  });
  on("scatter", "click", (event) => { const pair = pointAt(event); if (pair !== null) choose(pair); });
  ["map", "scatter"].forEach((id) => on(id, "pointerleave", (event) => {
    showTip(event, null);
    if (pointed) point(null);
  }));
  on("histogram", "pointerdown", (event) => { dragFrom = barAt(event); });
  addEventListener("pointerup", onDragEnd);
  document.querySelectorAll(".save").forEach((item) => item.addEventListener("click", () => savePicture(item.dataset.chart)));
  on("csv", "click", () => save(new Blob([csv()], { type: "text/csv" }), "pairs.csv"));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const name = () => { byId("theme").textContent = isDark() ? "Light page" : "Dark page"; };
  const isDark = () => (document.documentElement.style.colorScheme || (dark.matches ? "dark" : "light")) === "dark";
  on("theme", "click", () => { document.documentElement.style.colorScheme = isDark() ? "light" : "dark"; name(); show(); });
  dark.addEventListener("change", () => { name(); show(); });
  addEventListener("hashchange", () => { fromAddress(); show(); });
  name();
  let width = innerWidth;
  addEventListener("resize", () => { if (width !== innerWidth) { width = innerWidth; show(); } });
}

async function start() {
  const types = { values: Float64Array, bonds: Float64Array, charges: Float64Array, atoms: Float32Array,
                  amplitudes: Float64Array, basis: Float32Array, largest: Float32Array };
  await Promise.all(Object.entries(types).map(async ([name, type]) => { arrays[name] = await unpack(data[name], type); }));
  document.title = byId("file").textContent = data.file;
  byId("facts").textContent = `${pairs.length.toLocaleString("en")} pairs of ${elements.length} elements, ${labels.length} numeric labels`;
  fillList(byId("provenance"), [["content SHA-256", data.content_sha256], 
                                  ...Object.entries(data.provenance).map(([key, value]) => [key.replaceAll("_", " "), value])]);
  addOptions(byId("label"));
  addOptions(byId("other"));
  byId("pairs").append(...pairs.map((pair) => new Option(pair.join("_"))));
  addElements();
  if (data.levels) arrays.levels = await Promise.all(data.pixels.map((text) => unpack(text, Int8Array)));
  addChannels();
  fromAddress();
  listen();
  show();
  document.body.dataset.ready = "true";
}

start();
