/**
 * Cuts test/golden/lstm-threshold.trace out of a real trace: the last step, its middle layer, some positions.
 *
 *   gatesieve train model.numLayers=3 model.hiddenSize=256 model.embedding=256 model.initScale=0.08 \
 *     train.sequenceLength=100 train.batchSize=50 train.optimizer=rmsprop train.schedule=constant train.maxSteps=600 \
 *     --policy "warmup(150)+threshold:1e-6" --trace-steps 200,600 --trace full.trace
 *   node test/golden/make_trace_slice.mjs full.trace test/golden/lstm-threshold.trace
 */
import { writeFileSync } from "node:fs";
import { encodeTrace, readTrace } from "../../dist/runs/trace-file.js";

const [from, to] = process.argv.slice(2);
const LAYER = "lstm.l1";
const POSITIONS = [40, 48];

const trace = readTrace(from);
const step = trace.steps.at(-1);
const { batchSize: B } = trace.run;
const rows = (POSITIONS[1] - POSITIONS[0]) * B;
const site = step.sites.find(({ name }) => name === LAYER);
const words = Math.ceil(site.cols / 32);
const bitmap = site.bitmap.slice(POSITIONS[0] * B * words, POSITIONS[1] * B * words);
const bits = (from) => {
  let count = 0;
  for (let i = from * words; i < bitmap.length; i++) for (let word = bitmap[i]; word !== 0; word &= word - 1) count++;
  return count;
};
const perGate = site.cols / site.groups.length;
const groups = site.groups.map((group, g) => {
  let kept = 0;
  for (let r = 0; r < rows; r++)
    for (let c = g * perGate; c < (g + 1) * perGate; c++) kept += (bitmap[r * words + (c >> 5)] >>> (c & 31)) & 1;
  // Sums of squares are of the whole layer: the slice has no values.
  return { ...group, total: rows * perGate, naturalZeros: Math.min(group.naturalZeros, rows * perGate - kept), kept };
});
const products = step.products
  .filter(({ layer }) => layer === LAYER)
  .map((product) => {
    const m = rows - product.firstRow;
    const block = product.block === product.m ? m : product.block;
    const skipped = product.site === null ? 0 : (m * product.n - bits(product.firstRow)) * product.k;
    return { ...product, m, block, skipped };
  });
const slice = {
  ...trace,
  run: { ...trace.run, numLayers: 1, sequenceLength: rows / B, parameters: 2 * site.cols * 257 },
  steps: [
    {
      ...step,
      sites: [{ ...site, rows, bitmap, groups }],
      products,
      pointwise: step.pointwise.filter(({ layer }) => layer === LAYER).map((work) => ({ ...work, rows })),
    },
  ],
};
writeFileSync(to, encodeTrace(slice));
