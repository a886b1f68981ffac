/* The periodic table: pick elements, and see each in the colour of its pairs with those picked. */

const TABLE = `
  H  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  He
  Li Be .  .  .  .  .  .  .  .  .  .  B  C  N  O  F  Ne
  Na Mg .  .  .  .  .  .  .  .  .  .  Al Si P  S  Cl Ar
  K  Ca Sc Ti V  Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
  Rb Sr Y  Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I  Xe
  Cs Ba Lu Hf Ta W  Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
  Fr Ra Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
  .  .  La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb .  .
  .  .  Ac Th Pa U  Np Pu Am Cm Bk Cf Es Fm Md No .  .
`.trim().split("\n").map((row) => row.trim().split(/\s+/));
const F_BLOCK = 7; // the row where it begins

const tiles = new Map(); // place in `elements` to its button

function addElements() {
  const table = byId("elements");
  const add = (tag, text, name) => {
    const item = table.appendChild(document.createElement(tag));
    item.textContent = text;
    item.className = name;
    return item;
  };
  for (let group = 1; group <= 18; group++) {
    const button = add("button", group, "group");
    const members = TABLE.slice(0, F_BLOCK).map((row) => rank.get(row[group - 1])).filter((k) => k !== undefined);
    Object.assign(button, { type: "button", tabIndex: -1, title: `Pick group ${group}` });
    button.addEventListener("click", () => pickAll(members));
  }
  TABLE.forEach((row, y) => {
    // Rows of which the archive has no element would be empty boxes only.
    if (!row.some((symbol) => rank.has(symbol))) return;
    if (y === F_BLOCK) add("span", "", "space");
    row.forEach((symbol) => {
      const k = rank.get(symbol);
      if (k === undefined) return add("span", symbol === "." ? "" : symbol, symbol === "." ? "" : "absent").setAttribute("aria-hidden", "true");
      const button = add("button", symbol, "");
      Object.assign(button, { type: "button", tabIndex: -1 });
      button.dataset.group = row.indexOf(symbol);
      button.dataset.period = y;
      button.addEventListener("click", (event) => pick(k, event.shiftKey || event.ctrlKey || event.metaKey));
      button.addEventListener("pointerenter", () => point([state.picked.length === 1 ? state.picked[0] : k, k]));
      button.addEventListener("pointerleave", () => point(null));
      tiles.set(k, button);
    });
  });
  [...tiles.values()][0].tabIndex = 0;
  table.addEventListener("keydown", onElementKey);
}

/* One click picks an element; with one picked, the next one shows the pair of both. */
function pick(k, more) {
  const { picked } = state;
  if (picked.includes(k)) return change({ picked: picked.filter((other) => other !== k) });
  if (picked.length !== 1 || more) return change({ picked: [...picked, k] });
  if (pairIn(picked[0], k) !== undefined) change({ row: picked[0], column: k });
}

function pickAll(members) {
  const rest = state.picked.filter((k) => !members.includes(k));
  change({ picked: members.every((k) => state.picked.includes(k)) ? rest : [...rest, ...members] });
}

/* Arrow keys go to the next element in that direction; one tab stop for the whole table. */
function onElementKey(event) {
  const step = STEPS[event.key], from = event.target.dataset;
  if (!step || from.group === undefined) return;
  event.preventDefault();
  const buttons = [...tiles.values()], [period, group] = [Number(from.period), Number(from.group)];
  const ahead = buttons.map((button) => {
    const [dy, dx] = [button.dataset.period - period, button.dataset.group - group];
    const [along, aside] = step[0] ? [dy * step[0], dx] : [dx * step[1], dy];
    return { button, along, far: along + 100 * Math.abs(aside) };
  }).filter(({ along }) => along > 0).sort((a, b) => a.far - b.far);
  if (!ahead.length) return;
  buttons.forEach((button) => { button.tabIndex = button === ahead[0].button ? 0 : -1; });
  ahead[0].button.focus();
}

/* The mean over the pairs of an element with those picked, or with all. */
function meanWith(k) {
  const partners = state.picked.length ? state.picked : elements.map((_, other) => other);
  const values = partners.map((other) => valueIn(other, k)).filter((v) => !Number.isNaN(v));
  return values.length ? values.reduce((sum, v) => sum + v, 0) / values.length : NaN;
}

function showElements(theme) {
  const label = labels[state.label], colourOf = colouring(label, theme);
  const names = state.picked.map((k) => elements[k].symbol).join(", ");
  const one = state.picked.length === 1;
  byId("elements-help").textContent = names
    ? `Picked: ${names}. Colours: ${one ? "" : "mean "}${label.title} of pairs with ${one ? "it" : "them"}.` +
      (one ? " Click a second element to see the pair, itself to let go; with Shift more are picked." : "")
    : `Colours: mean ${label.title} over all pairs of an element. Click one to see its pairs; a group's number picks the group.`;
  tiles.forEach((button, k) => {
    const mean = meanWith(k);
    // A flag's mean is a share: it has no colour of its own between the two.
    const colour = label.scale === "flag" && !Number.isNaN(mean) ? mix(theme.no, theme.yes, mean) : colourOf(mean);
    button.style.background = colour ?? "";
    button.style.color = colour ? inkOn(colour) : "";
    button.setAttribute("aria-pressed", state.picked.includes(k));
    button.classList.toggle("chosen", k === state.row || k === state.column);
    const number = label.scale === "flag" && !one ? `${Math.round(100 * mean)} %` : withUnit(mean, label.unit, 4);
    const value = Number.isNaN(mean) ? "missing" : number;
    button.title = one ? `${nameIn(state.picked[0], k)}: ${value}` : `${elements[k].symbol}: ${value}`;
  });
  byId("both").disabled = state.picked.length < 2;
  byId("both").value = state.both ? "1" : "";
}

function mix(from, to, share) {
  const [a, b] = [from, to].map((colour) => colour.match(/\d+/g).map(Number));
  return css(a.map((c, i) => Math.round(c + (b[i] - c) * share)));
}
