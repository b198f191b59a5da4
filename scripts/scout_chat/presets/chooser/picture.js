// The picture: concurrent chats against the context, a line for each model, and the requested point.
const WIDTH = 1000, HEIGHT = 470, LEFT = 58, RIGHT = 275, TOP = 26, BOTTOM = 52, LABEL_HEIGHT = 15;
// Further models have the same colors again, dashed.
const HUES = [165, 30, 265, 345, 120, 225, 65, 300, 195, 5];
const CHAT_TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

// `answers` are the plans that get a line; their lines are dotted if none of them fits.
function picture(answers, query) {
  const lines = answers.map((answer) => ({ answer, points: points(answer) })).filter((line) => line.points.length);
  if (!lines.length) return null;
  const all = lines.flatMap((line) => line.points);
  const xs = [Math.min(DATA.contexts[0], query.context), Math.max(query.context, ...all.map((point) => point.context))];
  const top = Math.max(2, query.chats, ...all.map((point) => point.chats));
  const x = scale(xs, [LEFT, WIDTH - RIGHT]);
  const y = scale([1, CHAT_TICKS.find((tick) => tick >= top) ?? top], [HEIGHT - BOTTOM, TOP]);
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": pictureText(lines, query) });
  drawing.append(...axes(xs, top, x, y), ...modelLines(lines, x, y), requested(query, answers[0].fits, x, y));
  return drawing;
}

// The planner's chats for contexts up to the model's longest, and to the longest at which one chat fits.
function points(answer) {
  const longest = longestContext(answer.cache, Math.trunc(answer.kvGib * GIB), answer.model.longest, 1);
  const contexts = [...DATA.contexts.filter((context) => context < longest), longest].filter((context) => context >= DATA.contexts[0]);
  return contexts.map((context) => planAt({ ...choiceOf(answer), context }, answer.utilization)).map(({ context, concurrency, fitting }) => (
    { context, chats: concurrency, fitting }
  ));
}

function scale([low, high], [from, to]) {
  return (value) => from + ((to - from) * Math.log(value / low)) / Math.log(high / low);
}

function axes(xs, top, x, y) {
  const contexts = DATA.contexts.filter((context) => context >= xs[0] && context <= xs[1]);
  const ticks = CHAT_TICKS.filter((tick, place) => place === 0 || CHAT_TICKS[place - 1] < top);
  const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
  return [
    ...contexts.map((context) => svg("line", { class: "grid", x1: x(context), x2: x(context), y1: TOP, y2: bottom })),
    ...contexts.map((context) => svg("text", { class: "axis", x: x(context), y: bottom + 18, "text-anchor": "middle" }, `${context / 1024}K`)),
    ...ticks.map((tick) => svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(tick), y2: y(tick) })),
    ...ticks.map((tick) => svg("text", { class: "axis", x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, String(tick))),
    svg("text", { class: "axis", x: (LEFT + right) / 2, y: HEIGHT - 12, "text-anchor": "middle" }, "context (tokens)"),
    svg("text", { class: "axis", x: 8, y: 15 }, "concurrent chats"),
  ];
}

function modelLines(lines, x, y) {
  const heights = labelHeights(lines.map((line) => y(line.points.at(-1).chats)));
  return lines.map(({ answer, points }, place) => {
    const [end, label] = [points.at(-1), { x: WIDTH - RIGHT + 26, y: heights[place] }];
    const path = points.map((point, index) => `${index ? "L" : "M"}${x(point.context).toFixed(1)} ${y(point.chats).toFixed(1)}`).join("");
    const dash = answer.fits ? (place >= HUES.length ? " second" : "") : " short";
    return svg(
      "g",
      { class: `model${dash}`, style: `--hue: ${HUES[place % HUES.length]}`, "data-model": answer.model.name },
      svg("path", { d: path }),
      svg("line", { x1: x(end.context) + 4, y1: y(end.chats), x2: label.x - 4, y2: label.y }),
      ...points.map((point) => svg("circle", { cx: x(point.context), cy: y(point.chats), r: 3.5 },
        svg("title", {}, `${answer.model.title}: ${countChats(point.fitting)} of ${point.context} tokens`))),
      svg("text", { x: label.x, y: label.y + 4 }, answer.model.title),
    );
  });
}

// Heights of labels as near as possible to the wanted ones, but not on top of each other.
function labelHeights(wanted) {
  const order = wanted.map((_, place) => place).sort((one, other) => wanted[one] - wanted[other]);
  const heights = [...wanted];
  let least = TOP;
  for (const place of order) {
    heights[place] = Math.max(heights[place], least);
    least = heights[place] + LABEL_HEIGHT;
  }
  let most = HEIGHT - 12;
  for (const place of order.reverse()) {
    heights[place] = Math.min(heights[place], most);
    most = heights[place] - LABEL_HEIGHT;
  }
  return heights;
}

// If models fit, their lines are above the point and fall to the right, so the text is below on the left, if there is room. Otherwise the
// text is above.
function requested({ context, chats }, fits, x, y) {
  const left = x(context) - LEFT > 250;
  const below = fits && y(chats) < HEIGHT - BOTTOM - 25;
  return svg(
    "g",
    { class: "requested" },
    svg("line", { x1: x(context), x2: x(context), y1: y(chats), y2: HEIGHT - BOTTOM }),
    svg("line", { x1: LEFT, x2: x(context), y1: y(chats), y2: y(chats) }),
    svg("circle", { cx: x(context), cy: y(chats), r: 6 }),
    svg("text", { x: x(context) + (left ? -10 : 10), y: y(chats) + (below ? 21 : -11), "text-anchor": left ? "end" : "start" }, `requested: ${countChats(chats)} of ${context} tokens`),
  );
}

function pictureText(lines, { context, chats }) {
  const names = lines.map((line) => line.answer.model.title).join(", ");
  return `Concurrent chats against context, for ${names}. The requested point is ${countChats(chats)} of ${context} tokens. The list below has the numbers.`;
}

function svg(name, attributes, ...children) {
  return fillElement(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}
