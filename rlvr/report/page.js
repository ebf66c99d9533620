"use strict";
// Everything a model wrote is added as text (append, textContent), never as markup.

const data = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes, holding elements and texts. */
function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

/** A number with three digits that matter; a true minus sign. */
function digits(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 0.0001 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace(/^-/, "−");
}

const signed = (value) => (value > 0 ? "+" : "") + digits(value);

// ---------------------------------------------------------------- charts

// Colours of text and lines are the page's own, so that a change of theme needs no new drawing.
const INK = { labelColor: "currentColor", titleColor: "currentColor", titleFontWeight: "normal" };
const LOOK = {
  background: null,
  font: "system-ui, sans-serif",
  view: { stroke: null },
  rule: { color: "currentColor" },
  text: { color: "currentColor" },
  axis: { ...INK, domainColor: "currentColor", tickColor: "currentColor", gridColor: "currentColor",
    gridOpacity: 0.12, domainOpacity: 0.4, tickOpacity: 0.4, labelFontSize: 11, titleFontSize: 12, labelLimit: 120 },
  axisXQuantitative: { tickCount: { signal: "max(2, ceil(width / 70))" }, grid: false },
  axisYQuantitative: { tickCount: 5 },
  legend: { ...INK, labelFontSize: 12, labelLimit: 260, symbolStrokeWidth: 2 },
};

/** The point nearest to the pointer says its values itself: what Vega-Lite 6 writes for the area around it misses names of series. */
function withNames(vega) {
  for (const mark of vega.marks ?? []) {
    if (mark.name?.endsWith("voronoi")) mark.encode.update.tooltip = { signal: "datum.tooltip" };
    withNames(mark);
  }
  return vega;
}

/** Names and values of a point as the plotting library wants them: as markup, every text made harmless by its own sanitize. */
function tipOf(values, sanitize) {
  const known = Object.entries(values).filter(([, value]) => !["null", "NaN"].includes(String(value)));
  return `<table>${known.map(([name, value]) => `<tr><td class="key">${sanitize(name)}</td><td>${sanitize(value)}</td></tr>`).join("")}</table>`;
}

/** Draw every chart, one after another, leaving the page free in between. */
async function drawCharts() {
  const boxes = document.querySelectorAll(".chart");
  for (const [number, spec] of data.charts.entries()) {
    const box = boxes[number], picture = make("div", { "aria-hidden": "true" }); // the box says what the picture shows
    box.append(picture);
    try {
      const { view } = await vegaEmbed(picture, { ...spec, width: "container", height: 220 }, {
        ast: true, // expressions are interpreted: the page's policy forbids making code of them
        renderer: "svg",
        actions: false,
        defaultStyle: false,
        logLevel: 1, // errors only: a reader can do nothing about a remark on a specification
        tooltip: { disableDefaultStyle: true, formatTooltip: tipOf },
        patch: withNames,
        config: LOOK,
      });
      await view.resize().runAsync(); // room above for as many rows of the legend as the width makes
    } catch (error) {
      box.textContent = `This chart could not be drawn (${error.message}). Its numbers are below.`;
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  document.documentElement.dataset.drawn = "yes";
}

// ---------------------------------------------------------------- the token view

/** What tokens can be coloured by. Values are drawn from -1 (blue) to 1 (red) by their share of a bound that all rollouts share. */
const QUANTITIES = {
  entropy: { label: "Entropy", least: Math.LN2, from: "sure", to: "fork",
    says: "how open the choice was when it was sampled, in nats: 0 where one token had all the probability, 0.69 where two had half each" },
  advantage: { label: "Advantage", both: true, from: "pushed down", to: "pushed up",
    says: "which way, and how strongly, the step pushed its probability" },
  change: { label: "Change", both: true, from: "less likely now", to: "more likely now",
    says: "its log-probability by the studied policy minus that by the earlier one, in nats", needs: "study" },
  log_ratio: { label: "Importance ratio", both: true, least: 0.1, from: "less likely than when sampled", to: "more likely",
    says: "its probability by the studied policy over that by the policy that sampled it", text: Math.exp, needs: "study" },
  logprob: { label: "Probability", down: true, from: "certain", to: "unlikely", bound: Math.log(100),
    says: "the probability it was sampled with; on a scale of logarithms", text: Math.exp },
  entropy_now: { label: "Entropy now", least: Math.LN2, from: "sure", to: "fork",
    says: "how open the choice is to the studied policy, in nats", needs: "study" },
};
const SHADES = 9;

/** The value that is drawn strongest: all but one in fifty are within, over every rollout of the reader. */
function boundOf(name, attempts) {
  const { bound, least = 1e-3 } = QUANTITIES[name];
  if (bound) return bound;
  const sizes = attempts.flatMap((attempt) => attempt.values[name] ?? []).map(Math.abs).sort((a, b) => a - b);
  return Math.max(least, sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 0);
}

/** How a value is drawn: its shade (0 blue to 8 red), and its bar: over the text where it is positive and could be negative. */
function drawn(name, value, bound) {
  const { both, down } = QUANTITIES[name];
  const share = Math.min(1, Math.max(both ? -1 : 0, (down ? -value : value) / bound));
  return { shade: Math.round(((both ? share : 2 * share - 1) + 1) / 2 * (SHADES - 1)), height: Math.abs(share), over: both && share > 0 };
}

const textOf = (name, value) => {
  const { text, both } = QUANTITIES[name];
  return text ? digits(text(value)) : both ? signed(value) : digits(value);
};

/** Text with its spaces and line ends visible. */
const visible = (text) => text.replaceAll(" ", "·").replaceAll("\n", "⏎");

/** A token as it is seen: spaces and line ends visible, and a word for those without text. */
function seen(attempt, number) {
  const piece = attempt.pieces[number];
  if (piece !== "") return visible(piece);
  return number === attempt.length - 1 && attempt.stop === "stop" ? "‹end›" : `‹${attempt.ids[number]}›`;
}

const isTrained = ({ trained }, number) => (Array.isArray(trained) ? trained[number] : trained);

/** Numbers of the tokens whose choice was most open: of the highest fifth by entropy (or least probable, where none is known). */
function forksOf({ values }) {
  const openness = values.entropy ?? values.entropy_now ?? values.logprob?.map((value) => -value) ?? [];
  const sorted = [...openness].sort((a, b) => b - a);
  const edge = sorted[Math.floor(openness.length / 5)], least = sorted.at(-1);
  return openness.flatMap((value, number) => (value >= edge && value > least ? [number] : []));
}

/** A table with headings over columns, some of which hold numbers. */
function tableOf(caption, columns, rows, numeric = columns.slice(1)) {
  return make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...columns.map((column) => make("th", { scope: "col", class: numeric.includes(column) ? "number" : null }, column)))),
    make("tbody", {}, ...rows));
}

/** The list of rollouts, filtered by mode and outcome. Calls open(attempt) for the one chosen. */
function listOf(attempts, open) {
  const outcome = ({ correct }) => (correct ? "right" : "wrong");
  const choice = (label, values) => {
    const select = make("select", {}, ...["all", ...new Set(values)].map((value) => make("option", { value }, value)));
    return { select, label: make("label", {}, `${label} `, select) };
  };
  const mode = choice("Mode", attempts.map((attempt) => attempt.mode)), verdict = choice("Verdict", attempts.map(outcome));
  const count = make("span", { role: "status" });
  const rows = attempts.map((attempt) => {
    const button = make("button", { type: "button" }, placeOf(attempt));
    const cells = [attempt.mode, (attempt.correct ? "✓ " : "✗ ") + outcome(attempt), digits(attempt.reward), `${attempt.length}`];
    const row = make("tr", { class: outcome(attempt) }, make("th", { scope: "row" }, button),
      ...cells.map((cell, number) => make("td", { class: number > 1 ? "number" : null }, cell)));
    row.addEventListener("click", () => choose(attempt));
    return row;
  });
  function choose(chosen) {
    rows.forEach((row, number) => row.querySelector("button").setAttribute("aria-pressed", attempts[number] === chosen));
    open(chosen);
  }
  function filter() {
    const fits = attempts.filter((attempt, number) => {
      const fit = ["all", attempt.mode].includes(mode.select.value) && ["all", outcome(attempt)].includes(verdict.select.value);
      rows[number].hidden = !fit;
      return fit;
    });
    count.textContent = `${fits.length} of ${attempts.length} rollouts`;
    if (fits.length) choose(fits[0]);
  }
  for (const { select } of [mode, verdict]) select.addEventListener("change", filter);
  const table = tableOf("Rollouts to read", ["rollout", "mode", "verdict", "reward", "tokens"], rows, ["reward", "tokens"]);
  const box = make("div", { class: "scroll rollouts", tabindex: "0", role: "region", "aria-label": "Rollouts to read" }, table);
  return { element: make("div", {}, make("div", { class: "controls" }, mode.label, verdict.label, count), box), filter };
}

/** The choice of what colours the tokens, and what was not recorded. Calls changed(name). */
function coloursOf(group, changed) {
  const set = make("fieldset", { class: "controls" }, make("legend", {}, "Colour tokens by"));
  const missing = make("p", { class: "small" });
  let chosen = null;
  function offer({ values }) {
    const known = Object.keys(QUANTITIES).filter((name) => values[name]);
    chosen = known.includes(chosen) ? chosen : known[0] ?? null;
    set.replaceChildren(set.firstChild, ...known.map((name) => {
      const input = make("input", { type: "radio", name: group, value: name });
      input.checked = name === chosen;
      input.addEventListener("change", () => { chosen = name; changed(name); });
      return make("label", {}, input, ` ${QUANTITIES[name].label}`);
    }));
    const absent = Object.keys(QUANTITIES).filter((name) => !values[name]);
    const names = (wanted) => absent.filter((name) => Boolean(QUANTITIES[name].needs) === wanted).map((name) => QUANTITIES[name].label.toLowerCase());
    missing.textContent = (names(false).length ? `Not recorded for this rollout: ${names(false).join(", ")}. ` : "") +
      (names(true).length ? `Not studied: ${names(true).join(", ")}; rlvr study finds them.` : "");
    return chosen;
  }
  return { element: make("div", {}, set, missing), offer };
}

/** What the colours and bars mean, with numbers. */
function legendOf(name, bound, attempt) {
  const { says, from, to, both, down, text } = QUANTITIES[name];
  const steps = Array.from({ length: SHADES }, (_, number) => {
    const share = both ? (2 * number) / (SHADES - 1) - 1 : number / (SHADES - 1);
    const value = (down ? -share : share) * bound, end = number === SHADES - 1 || (both && number === 0);
    const swatch = make("span", { class: "text" }, number % 2 ? "\u00a0" : (end ? (value > 0 ? "≥" : "≤") : "") + textOf(name, value));
    paint(swatch, drawn(name, value, bound));
    return make("span", { class: "token" }, swatch);
  });
  const scale = make("p", { class: "scale" }, `${from} `, ...steps, ` ${to}`);
  const marks = [];
  if (attempt.trained !== true && attempt.trained !== null) marks.push(make("span", { class: "token untrained" }, make("span", { class: "text" }, "dotted")), " was not trained on. ");
  const bars = both ? `A bar over a token is for more than ${text ? digits(text(0)) : 0}, one under it for less` : "The higher its bar, the further right on the scale a token is";
  marks.push(`${bars}; · is a space, ⏎ ends a line, ‹ › has no text of its own.`);
  return [make("p", { class: "small" }, `${QUANTITIES[name].label}: ${says}.`), scale, make("p", { class: "small" }, ...marks), make("p", { class: "small keys" },
    "Point at a token, or choose one and go on with ← → Home End; ↑ ↓ go to the next fork, one of the most open fifth of its choices.")];
}

/** Colour a token's text, with a bar as a second sign for who does not see the colour. */
function paint(element, { shade, height, over }) {
  element.dataset.shade = shade;
  element.classList.toggle("over", Boolean(over));
  element.style.setProperty("--bar", `${Math.round(height * 6)}px`);
  return element;
}

/** What is known of a token, in words and with the alternatives. */
function factsOf(attempt, number) {
  const facts = [["token", `${number + 1} of ${attempt.length}`], ["id", `${attempt.ids[number]}`]];
  for (const name of Object.keys(attempt.values)) {
    facts.push([QUANTITIES[name].label.toLowerCase(), textOf(name, attempt.values[name][number])]);
  }
  const trained = isTrained(attempt, number);
  if (trained !== null) facts.push(["trained on", trained ? "yes" : "no"]);
  const at = attempt.study?.credit?.positions.indexOf(number + 1) ?? -1;
  if (at >= 0) facts.push(["ends right from after it", chanceText(attempt.study.credit, at)]);
  const list = make("dl", {}, ...facts.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
  const parts = [make("p", { class: "chosen" }, seen(attempt, number)), list];
  const some = attempt.study?.alternatives[number];
  if (some?.length) {
    const share = (value) => make("td", { class: "number" }, bar(value), digits(value));
    const rows = some.map(([id, text, now, before]) => make("tr", { class: id === attempt.ids[number] ? "sampled" : null },
      make("th", { scope: "row" }, text === "" ? `‹${id}›` : visible(text), id === attempt.ids[number] ? " (sampled)" : ""),
      share(before), share(now)));
    parts.push(tableOf("What it could have been, by probability", ["token", "before", "now"], rows));
  }
  return parts;
}

function bar(share) {
  const element = make("span", { class: "bar" });
  element.style.setProperty("--share", share ?? 0);
  return element;
}

const chanceText = ({ right, low, high }, at) => `${digits(right[at])} [${digits(low[at])}, ${digits(high[at])}]`;

/** A small picture of the chance of ending right, to stand under a token: a column with its interval. */
function chanceOf(credit, position) {
  const at = credit.positions.indexOf(position), box = make("span", { class: "chance", "aria-hidden": "true" });
  if (at < 0) return box;
  box.append(make("span", { class: "value" }), make("span", { class: "interval" }));
  for (const [name, values] of Object.entries({ right: credit.right, low: credit.low, high: credit.high })) {
    box.style.setProperty(`--${name}`, values[at]);
  }
  return box;
}

/** Where the answer was decided, in words and numbers. */
function creditOf(attempt) {
  const { credit } = attempt.study, { positions, right, low, high } = credit;
  const textBetween = (from, to) => {
    const text = attempt.pieces.slice(from, to).map((_, number) => seen(attempt, from + number)).join("");
    return text.length > 40 ? `${text.slice(0, 40)}…` : text;
  };
  const between = (step) => positions[step + 1] - positions[step] === 1
    ? `token ${positions[step + 1]} “${textBetween(positions[step], positions[step + 1])}”`
    : `tokens ${positions[step] + 1} to ${positions[step + 1]} “${textBetween(positions[step], positions[step + 1])}”`;
  const steps = right.slice(1).map((_, step) => step).filter((step) => positions[step + 1] <= attempt.pieces.length)
    .sort((a, b) => Math.abs(right[b + 1] - right[b]) - Math.abs(right[a + 1] - right[a]));
  const clear = steps.filter((step) => low[step + 1] > high[step] || high[step + 1] < low[step]).slice(0, 3);
  const moves = (some) => some.map((step) => `at ${between(step)}: ${digits(right[step])} → ${digits(right[step + 1])}`).join("; ");
  const moved = steps.length > 0 && right[steps[0] + 1] !== right[steps[0]];
  let decided = moved ? "No two neighbouring chances differ by more than their intervals" : "No token moved the chance";
  if (moved) decided += ` (the largest move is ${moves(steps.slice(0, 1))})`;
  if (clear.length) decided = `Most was decided ${moves(clear)}`;
  const rows = positions.map((position, at) => make("tr", {}, make("th", { scope: "row", class: "number" }, `${position}`),
    ...[right, low, high].map((values) => make("td", { class: "number" }, digits(values[at])))));
  const box = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Chances of ending right" },
    tableOf("The chance of ending right after so many tokens", ["tokens", "right", "from", "to"], rows, ["tokens", "right", "from", "to"]));
  return [make("p", {}, `${decided}.`), make("p", { class: "small" },
    `Under the tokens: the chance of ending right from there, between 0 (bottom) and 1 (top): the share of ${credit.samples} continuations ` +
    `by ${credit.policy}, with its 95 % interval.`), make("details", {}, make("summary", {}, "Its numbers"), box)];
}

/** The tokens in a line, one of which is chosen; hovering shows another for as long. */
function stripOf(attempt, panel) {
  const credit = attempt.study?.credit;
  const tokens = attempt.pieces.map((piece, number) => {
    const token = make("span", { role: "option", tabindex: "-1", class: "token", "data-number": number },
      make("span", { class: "text" }, seen(attempt, number)));
    if (isTrained(attempt, number) === false) token.classList.add("untrained");
    if (credit) token.append(chanceOf(credit, number + 1));
    return token;
  });
  const forks = forksOf(attempt);
  const list = make("div", { class: "strip", role: "listbox", "aria-orientation": "horizontal",
    "aria-label": "Tokens of the completion. Left and right go to the next, up and down to the next fork." });
  if (credit?.positions.includes(0)) {
    list.append(make("span", { class: "token start", "aria-hidden": "true" }, make("span", { class: "text" }, "start"), chanceOf(credit, 0)));
  }
  tokens.forEach((token, number) => list.append(token, ...(attempt.pieces[number].endsWith("\n") ? [make("br")] : [])));
  let current = 0;
  const show = (number) => panel.replaceChildren(...factsOf(attempt, number));
  function choose(number, focus) {
    tokens[current].tabIndex = -1;
    tokens[current].setAttribute("aria-selected", "false");
    current = number;
    tokens[current].tabIndex = 0;
    tokens[current].setAttribute("aria-selected", "true");
    if (focus) tokens[current].focus();
    show(current);
  }
  const numberOf = (event) => event.target.closest("[data-number]")?.dataset.number;
  list.addEventListener("pointerover", (event) => show(Number(numberOf(event) ?? current)));
  list.addEventListener("pointerleave", () => show(current));
  list.addEventListener("click", (event) => { if (numberOf(event)) choose(Number(numberOf(event)), true); });
  list.addEventListener("keydown", (event) => {
    const next = {
      ArrowLeft: () => current - 1, ArrowRight: () => current + 1, Home: () => 0, End: () => tokens.length - 1,
      ArrowUp: () => forks.findLast((fork) => fork < current), ArrowDown: () => forks.find((fork) => fork > current),
    }[event.key]?.();
    if (next === undefined) return;
    event.preventDefault();
    if (next >= 0 && next < tokens.length) choose(next, true);
  });
  function colour(name, bound) {
    tokens.forEach((token, number) => {
      token.setAttribute("aria-label", `${seen(attempt, number)}, ${QUANTITIES[name].label.toLowerCase()} ${textOf(name, attempt.values[name][number])}`);
      paint(token.firstChild, drawn(name, attempt.values[name][number], bound));
    });
  }
  if (tokens.length) choose(0, false);
  return { element: list, colour };
}

/** Fill a token view. */
function read(box, attempts, number) {
  if (!attempts.length) return;
  const bounds = Object.fromEntries(Object.keys(QUANTITIES).map((name) => [name, boundOf(name, attempts)]));
  const panel = make("div", { class: "panel", "aria-live": "polite", tabindex: "0", role: "region", "aria-label": "The chosen token" });
  const about = make("div", { class: "about" }), legend = make("div", { class: "legend" }), place = make("div"), under = make("div");
  let attempt = null, strip = null;
  function colour(name) {
    if (name === null) return;
    strip.colour(name, bounds[name]);
    legend.replaceChildren(...legendOf(name, bounds[name], attempt));
  }
  const colours = coloursOf(`colours-${number}`, colour);
  const list = listOf(attempts, (chosen) => {
    attempt = chosen;
    strip = stripOf(attempt, panel);
    about.replaceChildren(...aboutOf(attempt));
    place.replaceChildren(strip.element, ...cutOf(attempt));
    under.replaceChildren(...(attempt.study?.credit ? creditOf(attempt) : []));
    colour(colours.offer(attempt));
  });
  box.append(list.element, about, colours.element, legend, make("div", { class: "tokens" }, make("div", {}, place, under), panel));
  list.filter();
}

/** What is said of a rollout that is too long to be shown whole. */
function cutOf({ pieces, length, characters }) {
  const shown = pieces.join("").length, say = (part, whole, what) =>
    [make("p", { class: "small" }, `Cut: these are the first ${part.toLocaleString("en")} of ${whole.toLocaleString("en")} ${what}.`)];
  return pieces.length < length ? say(pieces.length, length, "tokens") : shown < characters ? say(shown, characters, "characters") : [];
}

/** Where a rollout is found; an evaluation, which has no steps, wrote step 0. */
const placeOf = ({ step, index }) => (step ? `Step ${step}, problem ${index}` : `Problem ${index}`);

/** What is said of a rollout before its tokens. */
function aboutOf(attempt) {
  const facts = [`${placeOf(attempt)}: ${attempt.mode}, ${attempt.correct ? "right" : "wrong"}, reward ${digits(attempt.reward)}`];
  if (attempt.graded) facts.push(attempt.graded);
  if (attempt.advantage !== null) facts.push(`advantage ${signed(attempt.advantage)}`);
  facts.push(attempt.stop === "length" ? "stopped at the length limit" : "ended by itself");
  if (attempt.trained === false) facts.push("the step learnt from none of its tokens");
  const study = attempt.study ? ` Studied: ${attempt.study.policy}, against ${attempt.study.against}.` : "";
  return [make("p", {}, `${facts.join("; ")}. Gold answer: ${attempt.answer}.${study}`),
    make("p", { class: "small" }, "The prompt, from the environment (no token of it is the model's):"),
    make("pre", { class: "prompt", tabindex: "0" }, attempt.prompt)];
}

// ---------------------------------------------------------------- the theme

/** A button between light and dark; what the system prefers comes first, and nothing is stored. */
function themeButton() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  button.hidden = false;
  name();
}

themeButton();
document.querySelectorAll(".reader").forEach((box, number) => read(box, data.readers[number], number));
drawCharts();
