// The last steps of the planner: scripts/scout_chat/planning/planner.py and kv_cache.py, with the names that they have there. DATA holds what
// comes before: the blocks of each cache, the weights, and the reasons why vLLM cannot run a model.
const DATA = JSON.parse(document.getElementById("data").textContent);
const GIB = 2 ** 30;
// Tokens. A shorter context is not suggested.
const SHORTEST_CONTEXT = 1024;

function blocksPerRequest([, fixed, growing], context) {
  return growing.reduce((sum, [groups, size, most]) => sum + groups * Math.ceil(Math.min(context, most ?? context) / size), fixed);
}

function bytesNeeded(cache, context, requests) {
  return (requests * blocksPerRequest(cache, context) + 1) * cache[0];
}

// The longest context, up to `limit` tokens, at which so many requests fit; 0 if none does.
function longestContext(cache, kvBytes, limit, requests) {
  let [low, high] = [0, limit];
  while (low < high) {
    const middle = Math.floor((low + high + 1) / 2);
    if (bytesNeeded(cache, middle, requests) <= kvBytes) low = middle;
    else high = middle - 1;
  }
  return low;
}

// A choice has a model, one of its checkpoints, a GPU, gpus (their number), dtype, context and chats. The plan for it has the same and more,
// or the same and an error: the reason why no amount of memory would be enough.
function plan(choice) {
  const usual = planAt(choice, DATA.utilization);
  return usual.error || usual.fits || choice.gpus > 1 ? usual : planAt(choice, DATA.tight);
}

function planAt(choice, utilization) {
  const { model, checkpoint, gpu, gpus, dtype, context, chats } = choice;
  const place = DATA.gpus.indexOf(gpu);
  const run = checkpoint.runs[DATA.counts.indexOf(gpus)][DATA.dtypes.indexOf(dtype)][place];
  if (run < 0) return { ...choice, error: DATA.errors[-1 - run] };
  const cache = DATA.caches[run];
  const usable = gpu.cudaGib * utilization;
  const weights = checkpoint.loaded[place] / gpus;
  const reserve = gpus === 1 ? DATA.reserve : DATA.reserveParallel;
  const kvGib = usable - weights - reserve;
  const kvBytes = Math.trunc(kvGib * GIB);
  const blocks = Math.floor(Math.max(0, kvBytes) / cache[0]);
  const concurrency = blocks / blocksPerRequest(cache, context);
  const starts = kvBytes >= bytesNeeded(cache, context, 1);
  const fitting = starts ? Math.floor(concurrency) : 0;
  const bottleneck = kvGib <= 0 ? "weights" : !starts ? "one request" : fitting < chats ? "concurrent chats" : "";
  return {
    ...choice, utilization, cache, usable, weights, reserve, kvGib, blocks, concurrency, starts, fitting, bottleneck,
    fits: !bottleneck,
    requestGib: (blocksPerRequest(cache, context) * cache[0]) / GIB,
    shortfall: Math.max(0, bytesNeeded(cache, context, chats) / GIB - kvGib),
    longest: Math.floor(longestContext(cache, kvBytes, model.longest, chats) / 1024) * 1024,
    maxNumSeqs: maxNumSeqs(model, chats, blocks),
  };
}

function maxNumSeqs(model, chats, blocks) {
  let sequences = 8;
  while (sequences < 2 * chats && sequences < DATA.mostSequences) sequences *= 2;
  return model.states ? Math.min(sequences, Math.max(1, blocks)) : sequences;
}

// Every model's plan for a query (a choice without model and checkpoint), as `scout-chat plan --all` ranks them.
function ranking(query) {
  return DATA.models.map((model) => bestPlan(model, query)).sort(
    (one, other) => !!one.error - !!other.error || (one.shortfall ?? 0) - (other.shortfall ?? 0) || other.model.parameters - one.model.parameters,
  );
}

function bestPlan(model, query) {
  const context = Math.min(query.context, model.longest);
  const answers = model.checkpoints.map((checkpoint) => plan({ ...query, model, checkpoint, context }));
  const plans = answers.filter((answer) => !answer.error);
  return plans.find((answer) => answer.fits) ?? plans[0] ?? answers[0];
}

// The nearest changes of the query that fit, as `scout-chat plan` suggests them. Other weights are not among them: the ranking tries them.
function alternatives(answer) {
  const { gpu, gpus, context, chats, dtype } = answer;
  const candidates = [
    ["chats", chats > 1 && answer.fitting ? [answer.fitting] : []],
    ["context", answer.longest < context && answer.longest >= SHORTEST_CONTEXT ? [answer.longest] : []],
    ["dtype", dtype === "auto" ? ["fp8"] : []],
    ["gpus", DATA.counts.filter((count) => count > gpus)],
    ["gpu", DATA.gpus.filter((other) => other.memory > gpu.memory).sort((one, other) => one.memory - other.memory)],
  ];
  // Of each field the first value that fits.
  return candidates.flatMap(([field, values]) => {
    const planned = values.map((value) => ({ field, value, plan: plan({ ...choiceOf(answer), [field]: value }) }));
    return planned.filter((item) => item.plan.fits).slice(0, 1);
  });
}

function choiceOf({ model, checkpoint, gpu, gpus, dtype, context, chats }) {
  return { model, checkpoint, gpu, gpus, dtype, context, chats };
}

// One sentence about what does not fit, or about the chats that fit.
function explain(answer) {
  if (answer.error) return answer.error;
  const where = answer.gpus > 1 ? `each of ${answer.gpus} x ${answer.gpu.title}` : answer.gpu.title;
  const fit = `${countChats(answer.fitting)} of ${answer.context} tokens fit at the same time`;
  if (answer.bottleneck === "weights") {
    const taken = `the weights (${fixed(answer.weights, 1)} GiB) and the reserve (${fixed(answer.reserve, 1)})`;
    return `${taken} do not fit in the ${fixed(answer.usable, 1)} GiB that vLLM may use on ${where}`;
  }
  if (answer.bottleneck === "one request") {
    const needed = fixed(bytesNeeded(answer.cache, answer.context, 1) / GIB, 2);
    return `one request of ${answer.context} tokens needs ${needed} GiB of KV cache, but ${fixed(answer.kvGib, 2)} GiB are left on ${where}`;
  }
  return answer.bottleneck ? `${fit}, but ${answer.chats} are requested` : fit;
}

function countChats(number) {
  return `${number} chat${number === 1 ? "" : "s"}`;
}

// A number with so many decimals, as Python writes it. JavaScript rounds 0.125 up, Python to the even digit. 100 decimals are enough to be exact.
function fixed(number, digits) {
  const exact = number.toFixed(100);
  const end = exact.indexOf(".") + 1 + digits;
  const tie = /^50*$/.test(exact.slice(end));
  return tie && "02468".includes(exact[end - 1]) ? exact.slice(0, end) : number.toFixed(digits);
}
