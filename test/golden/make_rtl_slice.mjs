/**
 * Cuts four time steps of one layer out of traces of the paper's main model: test/golden/rtl.trace. After setup:
 *
 *   for policy in threshold:1e-6 stochastic:0.98; do
 *     node dist/cli/main.js train model.numLayers=3 model.hiddenSize=256 train.sequenceLength=100 train.batchSize=50 \
 *       train.maxSteps=150 policy=$policy --trace ${policy%%:*}.trace --trace-steps 150 --quiet
 *   done
 *   node test/golden/make_rtl_slice.mjs threshold.trace stochastic.trace
 *
 * Products and pointwise work are left out; the slices are the sites of one step each, named as in the training.
 */
import { fileURLToPath } from "node:url";
import { readTrace, writeTrace } from "../../dist/runs/trace-file.js";

const [SITE, FIRST, STEPS] = ["lstm.l2", 48, 4];

const traces = process.argv.slice(2).map(readTrace);
const steps = traces.map(({ run, steps: [step] }) => {
  const site = step.sites.find(({ name }) => name === SITE);
  const rows = STEPS * run.batchSize;
  const words = Math.ceil(site.cols / 32);
  const bitmap = site.bitmap.slice(FIRST * run.batchSize * words, (FIRST * run.batchSize + rows) * words);
  const width = site.cols / site.groups.length;
  const groups = site.groups.map((group, index) => {
    let kept = 0;
    for (let r = 0; r < rows; r++)
      for (let c = index * width; c < (index + 1) * width; c++) kept += (bitmap[r * words + (c >> 5)] >>> (c & 31)) & 1;
    // What was only summed over the whole site is not known of a part of it.
    return { ...group, total: rows * width, kept, naturalZeros: 0, squares: 0, keptSquares: 0 };
  });
  return { ...step, sites: [{ ...site, rows, groups, bitmap }], products: [], pointwise: [] };
});
const path = fileURLToPath(new URL("rtl.trace", import.meta.url));
console.log(`${writeTrace(path, { ...traces[0], steps })} bytes in ${path}`);
