/* The card of one pair: a sketch of the molecule, what matters most, the image channels, all labels. */

/* The sum of products in float64, rounded to float32 once: the bits of the archive's images. */
function render(pair, channel) {
  const pixels = size * size;
  const terms = arrays.basis.length / (channels.length * pixels);
  const factors = arrays.amplitudes.subarray(terms * (pair * channels.length + channel));
  return Float32Array.from({ length: pixels }, (_, pixel) => {
    const at = terms * channel * pixels + pixel;
    let sum = factors[0] * arrays.basis[at];
    for (let k = 1; k < terms; k++) sum += factors[k] * arrays.basis[at + k * pixels];
    return sum;
  });
}

/* Of other images the page holds levels, -data.levels to data.levels, of each picture's largest pixel. */
function coarse(pair, channel) {
  const { mirrored } = channels[channel], levels = arrays.levels[channel];
  const hidden = mirrored ? Math.floor(size / 2) : 0; // rows that the others mirror
  const start = pair * (size - hidden) * size;
  const unit = arrays.largest[pair * channels.length + channel] / data.levels;
  return Float32Array.from({ length: size * size }, (_, pixel) => {
    const y = Math.floor(pixel / size), row = mirrored ? Math.max(y, size - 1 - y) - hidden : y;
    const level = levels[start + row * size + (pixel % size)];
    return level === -128 ? NaN : level * unit;
  });
}

const imageOf = (pair, channel) => (arrays.levels ? coarse : render)(pair, channel);

const ZOOM = 8; // canvas pixels of an image's pixel

function drawChannel(canvas, pair, k) {
  const image = imageOf(pair, k), finite = image.filter(Number.isFinite);
  const low = finite.reduce((a, b) => Math.min(a, b), 0), high = finite.reduce((a, b) => Math.max(a, b), 0);
  const { at, ramp } = scaleOf({ scale: low < 0 ? "diverging" : "linear", min: low, max: high });
  const pixels = new ImageData(size, size), sheet = new OffscreenCanvas(size, size), context = canvas.getContext("2d");
  // What is not finite stays open.
  image.forEach((value, pixel) => { if (Number.isFinite(value)) pixels.data.set([...ramp[Math.round(255 * at(value))], 255], 4 * pixel); });
  sheet.getContext("2d").putImageData(pixels, 0, 0);
  canvas.width = canvas.height = size * ZOOM;
  context.imageSmoothingEnabled = false;
  context.drawImage(sheet, 0, 0, canvas.width, canvas.height);
  if (channels[k].spatial) markAtoms(context, pair);
  const { name, unit } = channels[k], number = (v) => String(Number(v.toPrecision(3))).replaceAll("-", "−");
  const range = low === 0 && high === 0 ? "0 everywhere" : `${number(low)} to ${number(high)}${unit === "1" ? "" : /^\d/.test(unit) ? ` × ${unit}` : ` ${unit}`}`;
  canvas.setAttribute("aria-label", `${name} of ${nameOf(pair)}: ${range}`);
  canvas.nextElementSibling.textContent = `${name}: ${range}`;
}

function markAtoms(context, pair) {
  const numbers = arrays.atoms.subarray(4 * pair, 4 * pair + 4); // column and row of both
  context.lineJoin = "round";
  pairs[pair].forEach((symbol, atom) => {
    const [x, y] = [0, 1].map((axis) => (numbers[2 * atom + axis] + 0.5) * ZOOM);
    context.font = "bold 24px system-ui, sans-serif";
    context.textAlign = "center";
    [["#000000", 6], ["#ffffff", 2]].forEach(([colour, line]) => {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.beginPath();
      context.moveTo(x - 7, y); context.lineTo(x + 7, y); context.moveTo(x, y - 7); context.lineTo(x, y + 7);
      context.stroke();
      if (line > 2) context.strokeText(symbol, x, y - 16);
    });
    context.fillStyle = "#ffffff";
    context.fillText(symbol, x, y - 16);
  });
}

function addChannels() {
  channels.forEach(({ name, unit, formula }) => {
    const figure = byId("channels").appendChild(document.createElement("figure"));
    figure.append(document.createElement("canvas"), document.createElement("figcaption"));
    figure.firstChild.setAttribute("role", "img");
    figure.title = `${name} [${unit}] = ${formula}`;
  });
  if (data.levels) {
    byId("precision").textContent = `Pictures only: pixels are rounded to within ${50 / data.levels} % ` +
      "of the largest one of each picture. The archive holds them exactly.";
  }
}

const labelNamed = (name) => labels.findIndex((label) => label.name === name);

function fillList(list, rows) {
  list.replaceChildren(...rows.flatMap(([term, description]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = term;
    dd.textContent = description;
    return [dt, dd];
  }));
}

/* Atoms as circles of their covalent radii, in the distance that they have. */
function drawMolecule(pair) {
  const [first, second] = cells[pair].map((k) => elements[k]), svg = byId("molecule");
  const bond = arrays.bonds[pair], charges = arrays.charges.subarray(2 * pair, 2 * pair + 2);
  const radii = [first, second].map(({ radius }) => radius ?? 1.5);
  const scale = Math.min(250 / (bond + radii[0] + radii[1]), 60 / Math.max(...radii));
  const at = [-1, 1].map((side) => 130 + (side * scale * bond + scale * (radii[0] - radii[1])) / 2);
  const shape = (tag, attributes, text = "") => {
    const item = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => item.setAttribute(key, value));
    item.textContent = text;
    return item;
  };
  const signed = (q) => (Number.isNaN(q) ? "" : `${q > 0 ? "+" : q < 0 ? "−" : ""}${Math.abs(q).toFixed(3)} e`);
  svg.replaceChildren(
    ...[0, 1].map((k) => shape("circle", { cx: at[k], cy: 66, r: scale * radii[k] })),
    shape("line", { x1: at[0], y1: 66, x2: at[1], y2: 66 }),
    ...[first, second].map(({ symbol }, k) => shape("text", { x: at[k], y: 58 }, symbol)),
    ...[signed(charges[0]), `${bond.toFixed(4)} Å`, signed(charges[1])]
      .map((text, k) => shape("text", { x: 40 + 90 * k, y: 146, class: "small" }, text)),
  );
  svg.setAttribute("aria-label", `${nameOf(pair)}, ${bond.toFixed(4)} Å apart, charges ${signed(charges[0])} and ${signed(charges[1])}`);
}

/* How the bond compares with the sum of the covalent radii; many minima of the parameters are not physical. */
function bondInWords(pair) {
  const radii = cells[pair].map((k) => elements[k].radius);
  if (radii.some((radius) => radius === null)) return `${arrays.bonds[pair].toFixed(4)} Å`;
  const ratio = arrays.bonds[pair] / (radii[0] + radii[1]);
  const doubt = ratio < data.shortest_bond ? ": shorter than any real bond" : "";
  return `${arrays.bonds[pair].toFixed(4)} Å, ${ratio.toFixed(2)} × the covalent radii${doubt}`;
}

function showPair() {
  const pair = pairIn(state.row, state.column), [a, b] = pairs[pair];
  byId("pair-heading").textContent = nameOf(pair);
  byId("pair").value = pairs[pair].join("_");
  drawMolecule(pair);
  const value = (k) => {
    const text = withUnit(valuesOf(k)[pair], labels[k].unit);
    return labels[k].antisymmetric && valuesOf(k)[pair] ? `${text} (from ${a} to ${b})` : text;
  };
  const chosen = [labels[state.label].name, "e_g_ev", "metal_like", "dipole_z_d", "total_energy_ev"].map(labelNamed);
  const rows = [...new Set(chosen)].filter((k) => k >= 0).map((k) => [labels[k].title, value(k)]);
  fillList(byId("facts-of-pair"), [rows[0], ["bond", bondInWords(pair)], ...rows.slice(1)]);
  if (arrays.levels || arrays.basis.length) {
    [...byId("channels").children].forEach((figure, k) => drawChannel(figure.firstChild, pair, k));
  }
  byId("labels-heading").textContent = `All labels of ${nameOf(pair)}`;
  const groups = [...new Set(labels.map(({ group }) => group))];
  byId("labels").replaceChildren(...groups.map((group) => {
    const section = document.createElement("section"), heading = document.createElement("h3");
    const list = document.createElement("dl");
    heading.textContent = group || "other";
    labels.forEach((label, k) => {
      if (label.group !== group) return;
      const row = list.appendChild(document.createElement("div"));
      fillList(row, [[label.title, value(k)]]);
      const meaning = row.appendChild(document.createElement("dd"));
      meaning.className = "soft";
      const code = meaning.appendChild(document.createElement("code"));
      code.textContent = label.name;
      if (label.meaning !== label.title) meaning.append(` ${label.meaning}`);
      meaning.style.textAlign = "left";
    });
    section.append(heading, list);
    return section;
  }));
}
