// The form, and the list of answers. The address after # holds the query, so that it can be linked.
const MOST_CHATS = 9999;
// Lines of the picture where no model fits.
const MOST_NEAREST = 6;
const FIELDS = ["gpu", "gpus", "context", "chats", "dtype"];
const DEFAULTS = { gpu: "a100-80", gpus: "1", context: "32k", chats: "8", dtype: "auto" };
const form = document.getElementById("query");

function show() {
  const { query, errors } = readQuery(Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()])));
  for (const name of FIELDS) {
    form.elements[name].setAttribute("aria-invalid", name in errors);
    document.getElementById(`${name}-error`).textContent = errors[name] ?? "";
  }
  document.getElementById("answer").hidden = !query;
  if (!query) {
    document.getElementById("status").textContent = "";
    return;
  }
  const rows = ranking(query);
  const fitting = rows.filter((row) => row.fits && row.context === query.context);
  const shorter = rows.filter((row) => row.fits && row.context < query.context);
  const others = rows.filter((row) => !row.fits);
  // The models that could do it with more memory, the nearest first.
  const nearest = others.filter((row) => !row.error && row.context === query.context);
  document.getElementById("status").textContent = statusText(query, fitting, nearest);
  const drawing = picture(fitting.length ? fitting : nearest.slice(0, MOST_NEAREST), query);
  document.getElementById("picture").replaceChildren(...(drawing ? [drawing] : []));
  document.getElementById("picture").hidden = !drawing;
  list("fits", fitting.map(fittingRow));
  list("shorter", shorter.map(fittingRow), !fitting.length);
  list("others", others.map(otherRow), !fitting.length);
}

// Show a section's rows; hide it without rows. `open`: whether a section that can be folded is unfolded.
function list(id, rows, open) {
  const section = document.getElementById(id);
  section.hidden = !rows.length;
  section.querySelector(".list").replaceChildren(...rows);
  for (const count of section.querySelectorAll(".count")) count.textContent = rows.length;
  for (const details of section.querySelectorAll(":scope > details")) details.open = open;
}

// The query, or an error for each field that has one.
function readQuery({ gpu, gpus, context, chats, dtype }) {
  const longest = Math.max(...DATA.models.map((model) => model.longest));
  const [, digits, thousand] = context.match(/^(\d+)([kK]?)$/) ?? [];
  const tokens = Number(digits) * (thousand ? 1024 : 1);
  const query = {
    gpu: DATA.gpus.find((item) => item.name === gpu),
    gpus: DATA.counts.find((count) => String(count) === gpus),
    context: tokens,
    chats: /^\d+$/.test(chats) ? Number(chats) : NaN,
    dtype: DATA.dtypes.find((name) => name === dtype),
  };
  const errors = {};
  if (!query.gpu) errors.gpu = "The catalog does not have this GPU. Choose one of the list.";
  if (!query.gpus) errors.gpus = `Choose ${DATA.counts.join(" or ")}.`;
  if (!query.dtype) errors.dtype = `Choose ${DATA.dtypes.join(" or ")}.`;
  if (!digits || tokens < 1) errors.context = "Write a number of tokens, for example 32768 or 32k.";
  else if (tokens > longest) errors.context = `No model of the catalog supports more than ${longest} tokens.`;
  if (!(query.chats >= 1 && query.chats <= MOST_CHATS)) errors.chats = `Write a whole number from 1 to ${MOST_CHATS}.`;
  return { query: Object.keys(errors).length ? null : query, errors };
}

function statusText(query, fitting, [nearest]) {
  const asked = `${countChats(query.chats)} of ${query.context} tokens on ${query.gpus} x ${query.gpu.title}`;
  if (fitting.length) return `${fitting.length} of ${DATA.models.length} models fit: ${asked}.`;
  return `No model fits: ${asked}.${nearest ? ` The nearest is ${nearest.model.title}: ${explain(nearest)}. ${missing(nearest)}.` : ""}`;
}

function missing(answer) {
  return `${fixed(answer.shortfall, 2)} GiB${answer.gpus > 1 ? " of each GPU" : ""} are missing`;
}

function fittingRow(answer) {
  const { model, checkpoint, context, chats } = answer;
  const limit = answer.longest >= Math.floor(model.longest / 1024) * 1024 ? "the model" : "GPU memory";
  const details = html(
    "details",
    { "data-model": model.name },
    html(
      "summary",
      {},
      html("span", { class: "name" }, html("b", {}, model.title), html("small", {}, checkpoint.id), tags(answer)),
      figure(`${fixed(answer.weights, 1)} GiB`, `weights${answer.gpus > 1 ? " on each GPU" : ""}, ${checkpoint.quantization}`),
      figure(countChats(answer.fitting), `of ${context} tokens fit`),
      figure(answer.longest ? `${answer.longest} tokens` : "under 1024 tokens", `longest context for ${countChats(chats)}`, `limit: ${limit}`),
    ),
  );
  details.addEventListener("toggle", () => details.open && details.children.length === 1 && details.append(body(answer)));
  for (const event of ["mouseenter", "focusin"]) details.addEventListener(event, () => highlight(model.name));
  for (const event of ["mouseleave", "focusout"]) details.addEventListener(event, () => highlight(null));
  return html("li", { class: "model" }, details);
}

function figure(number, ...captions) {
  return html("span", {}, html("span", { class: "number" }, number), ...captions.map((caption) => html("small", {}, caption)));
}

function tags({ checkpoint }) {
  const issues = checkpoint.issues.length;
  const words = [checkpoint.gated ? "gated" : "", issues ? `${issues} known issue${issues > 1 ? "s" : ""}` : ""].filter(Boolean);
  return html("span", { class: "tags" }, ...words.map((word) => html("span", { class: "tag" }, word)));
}

// The line of this model in the picture stands out.
function highlight(name) {
  document.querySelector("#picture svg")?.classList.toggle("choosing", name !== null);
  for (const line of document.querySelectorAll("#picture .model")) line.classList.toggle("chosen", line.dataset.model === name);
}

function body(answer) {
  const { model, checkpoint } = answer;
  const shipped = shippedFile(answer);
  const install = (file) => `helm install chat charts/scout-chat -n chat --create-namespace -f ${file}`;
  const ready = shipped ? [html("h3", {}, "With a shipped values file"), html("p", {}, "It holds at least this context and these chats on this GPU."), html("pre", {}, install(shipped.file))] : [];
  return html(
    "div",
    { class: "body" },
    ...memory(answer),
    html("p", {}, "License: ", model.license, ". ", html("a", { href: checkpoint.page }, checkpoint.id)),
    ...checkpoint.issues.map(issue),
    ...ready,
    html("h3", {}, shipped ? "With a values file for exactly this" : "Install"),
    ...(checkpoint.gated ? [html("p", {}, `The weights are gated: accept the license at the address above, and put a token into the Secret ${DATA.tokenSecret} (key token).`)] : []),
    html("p", {}, "In a clone of scout-chat, after ", html("code", {}, "make setup"), " and ", html("code", {}, "helm dependency update charts/scout-chat"), ":"),
    html("pre", { class: "commands" }, `.venv/bin/${command(answer)} -o model.yaml\n${install("model.yaml")}`),
    download(answer),
    fileView(answer),
  );
}

function memory(answer) {
  const { usable, weights, reserve, kvGib, requestGib, gpu, gpus } = answer;
  const part = (name, size, text) => [
    html("span", { class: name, style: `flex: ${size}` }),
    html("span", {}, html("span", { class: `key ${name}` }), `${text} ${fixed(size, 2)} GiB`),
  ];
  const parts = [part("weights", weights, "weights"), part("reserve", reserve, "reserve"), part("cache", kvGib, "KV cache")];
  const contexts = DATA.contexts.filter((context) => context <= answer.model.longest);
  const chats = contexts.map((context) => planAt({ ...choiceOf(answer), context }, answer.utilization).fitting);
  const cells = (kind, values) => values.map((value) => html(kind, {}, String(value)));
  return [
    html("div", { class: "bar" }, ...parts.map(([piece]) => piece)),
    html("p", { class: "keys" }, ...parts.map(([, key]) => key)),
    html("p", {}, `vLLM may use ${fixed(usable, 2)} GiB${gpus > 1 ? " of each GPU" : ""}, ${answer.utilization} of ${gpu.cudaGib}. `
      + `One chat of ${answer.context} tokens takes ${fixed(requestGib, 2)} GiB of the cache. The engine works on up to ${answer.maxNumSeqs} requests at the same time${answer.chats > answer.maxNumSeqs ? ", the others wait" : ""}.`),
    html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Chats of ${answer.model.title} by context` }, html("table", {}, html("tr", {}, html("th", {}, "context"), ...cells("th", contexts)), html("tr", {}, html("th", {}, "chats"), ...cells("td", chats)))),
  ];
}

function issue({ issue, workaround, source }) {
  return html("p", {}, html("b", {}, "Known issue: "), issue, workaround ? `. Values that avoid it: ${workaround}` : "", ` (${source})`);
}

function download(answer) {
  const button = html("button", { type: "button", class: "main" }, "Download model.yaml");
  button.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([valuesFile(answer)], { type: "application/yaml" }));
    html("a", { href: address, download: "model.yaml" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  });
  return html("p", {}, button, html("small", {}, "the same file as the first command writes"));
}

function fileView(answer) {
  return html("details", {}, html("summary", {}, "Show the file"), html("pre", { class: "file", tabindex: "0" }, valuesFile(answer)));
}

function otherRow(answer) {
  const { model } = answer;
  const changes = answer.error ? [] : alternatives(answer);
  const buttons = changes.map((item) => {
    const button = html("button", { type: "button" }, changeText(item));
    button.addEventListener("click", () => apply(item));
    return button;
  });
  const would = answer.error ? [] : [html("p", {}, buttons.length ? "What would fit: " : "No single change of the query is enough.", ...buttons)];
  return html(
    "li",
    { class: "model", "data-model": model.name },
    html("b", {}, model.title), " ", html("small", {}, answer.error ? "" : `${answer.checkpoint.id}, ${answer.checkpoint.quantization}`),
    html("p", {}, answer.error ? `Does not run: ${explain(answer)}.` : `Does not fit (${answer.bottleneck}): ${explain(answer)}. ${missing(answer)}.`),
    ...would,
  );
}

// A change by its field's label, with the chats that fit then if it is not about them.
function changeText({ field, value, plan }) {
  const label = form.elements[field].closest("label").firstChild.textContent.trim();
  return `${label}: ${value.title ?? value}${["chats", "context"].includes(field) ? "" : ` (${countChats(plan.fitting)})`}`;
}

function apply({ field, value }) {
  form.elements[field].value = value.name ?? value;
  update();
  form.elements[field].focus();
}

function html(name, attributes, ...children) {
  return fillElement(document.createElement(name), attributes, children);
}

function fillElement(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function options(select, items) {
  select.append(...items.map(([value, text]) => html("option", { value }, text)));
}

function gpuText({ title, memory }) {
  const short = title.replace(/^NVIDIA /, "");
  return short.endsWith("GB") ? short : `${short} ${memory} GB`;
}

function update() {
  history.replaceState(null, "", `#${new URLSearchParams(FIELDS.map((name) => [name, form.elements[name].value]))}`);
  show();
}

function load() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of FIELDS) form.elements[name].value = given.get(name) ?? DEFAULTS[name];
  show();
}

options(form.elements.gpu, DATA.gpus.map((gpu) => [gpu.name, gpuText(gpu)]));
options(form.elements.gpus, DATA.counts.map((count) => [count, count]));
options(form.elements.dtype, DATA.dtypes.map((name) => [name, name === "auto" ? "auto (bf16)" : name]));
options(document.getElementById("contexts"), DATA.contexts.map((context) => [context, `${context / 1024}k`]));
form.addEventListener("input", update);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", load);
load();
