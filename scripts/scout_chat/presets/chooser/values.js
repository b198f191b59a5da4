// The command and the values file for a plan. scripts/scout_chat/presets/chooser/outline.py explains the slots of a file.

function command(answer) {
  const { model, checkpoint, gpu, gpus, context, chats, dtype } = answer;
  const words = ["scout-chat", "preset", checkpoint === model.checkpoints[0] ? model.name : checkpoint.id, "--gpu", gpu.name];
  if (gpus !== 1) words.push("--gpus", gpus);
  words.push("--context", context, "--concurrent-chats", chats);
  if (dtype !== "auto") words.push("--kv-dtype", dtype);
  if (checkpoint.gated) words.push("--token-secret", DATA.tokenSecret);
  return words.join(" ");
}

function valuesFile(answer) {
  const values = {
    command: command(answer),
    gpu: answer.gpu.title,
    context: answer.context,
    concurrent_chats: answer.chats,
    utilization: answer.utilization,
    max_num_seqs: answer.maxNumSeqs,
    request_gib: answer.requestGib,
    usable_gib: answer.usable,
    weights_gib: answer.weights,
    reserve_gib: answer.reserve,
    kv_gib: answer.kvGib,
  };
  // The GPUs that hold the chats with the settings that were planned for the chosen one.
  const placements = DATA.gpus.map((gpu) => planAt({ ...choiceOf(answer), gpu }, answer.utilization)).filter((placement) => placement.fits);
  for (const placement of placements) {
    values[`kv_gib ${placement.gpu.name}`] = placement.kvGib;
    values[`chats ${placement.gpu.name}`] = placement.fitting;
  }
  const gpus = placements.map((placement) => placement.gpu);
  values.memory = Math.min(...gpus.map((gpu) => gpu.memory));
  values.terms = terms(gpus, values.memory);
  const lines = answer.checkpoint.files[DATA.counts.indexOf(answer.gpus)][DATA.dtypes.indexOf(answer.dtype)].map((place) => DATA.lines[place]);
  return lines.map((line) => fill(line, values)).filter((line) => line !== null).join("\n");
}

function terms(gpus, memory) {
  const names = gpus.map((gpu) => gpu.name).join(" ");
  const minimum = DATA.minimumTerms.find((item) => item.memory === memory && item.gpus.join(" ") === names);
  return minimum?.text ?? DATA.productTerms.replace("[]", `[${gpus.flatMap((gpu) => gpu.products).join(", ")}]`);
}

// The line with its slots filled in; null if a slot has no value.
function fill(line, values) {
  const slots = [...line.matchAll(/@\{([^|}]+)\|?([^}]*)\}/g)];
  if (slots.some(([, name]) => !(name in values))) return null;
  return slots.reduce((filled, [slot, name, format]) => filled.replace(slot, () => formatted(values[name], format)), line);
}

function formatted(value, format) {
  if (format === "chats") return countChats(value);
  const [, width, digits] = format.match(/^%(\d*)\.(\d)f$/) ?? [];
  return digits ? fixed(value, Number(digits)).padStart(Number(width)) : String(value);
}

// A shipped file that does what is asked for on the chosen GPU, if there is one: the same weights, at least the context and the chats.
function shippedFile({ checkpoint, gpu, gpus, dtype, context, chats }) {
  const same = (file) => file.checkpoint === checkpoint.id && file.gpus === gpus && file.dtype === dtype;
  return DATA.shipped.find((file) => same(file) && file.context >= context && (file.chats[gpu.name] ?? 0) >= chats);
}
