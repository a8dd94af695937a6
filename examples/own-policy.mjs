// A policy of your own, by the slow and correct door: node examples/own-policy.mjs
// top:K keeps the K gate gradients of largest magnitude in each row, as the built-in topk:SHARE does.
import assert from "node:assert/strict";
import { languageModel, lstm } from "gatesieve";

/** A policy makes one SitePolicy per site; that one fills a rule before each backward pass. */
const top = (k) => ({
  name: `top:${k}`,
  start({ site }) {
    const sizes = new Float32Array(site.cols);
    // Zeroes what it drops in rows [row, row + rows) of g, a row-major buffer of `cols` columns.
    const apply = (g, row, rows, cols) => {
      for (let r = row; r < row + rows; r++) {
        const values = g.subarray(r * cols, (r + 1) * cols);
        for (let c = 0; c < cols; c++) sizes[c] = Math.abs(values[c]);
        const smallestKept = sizes.sort()[cols - k];
        for (let c = 0; c < cols; c++) if (Math.abs(values[c]) < smallestKept) values[c] = 0;
      }
    };
    return {
      plan(_step, rule) {
        rule.kind = "custom";
        rule.apply = apply;
      },
      learn() {}, // it needs no statistics of earlier steps,
      save: () => [], // and so it has no state for checkpoints
      load() {},
    };
  },
});

const text = Array.from({ length: 3000 }, (_, i) => `${i % 12} times ${i % 7} is ${(i % 12) * (i % 7)}, `).join("");

async function run(policy) {
  const model = await languageModel(lstm({ hiddenSize: 64 })).fit(text, {
    policy,
    maxSteps: 200,
    batchSize: 16,
    sequenceLength: 32,
  });
  const { losses, validLoss, sparsity, macs } = model.report;
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  console.log(
    `${model.report.policy.padEnd(8)} loss ${losses[0].loss.toFixed(3)} to ${validLoss.toFixed(3)}, ` +
      `${percent(sparsity.dropped)} dropped, ${percent(macs.macsSkippedAll)} of MACs skipped`,
  );
  return { first: losses[0].loss, ...model.report };
}

const dense = await run("dense");
const sparse = await run(top(26)); // of 256: ten per cent
assert(dense.validLoss < dense.first / 2 && sparse.validLoss < sparse.first / 2, "the loss fell by less than half");
assert(Math.abs(sparse.sparsity.sparsity - 230 / 256) < 0.01, "it did not drop what it should have");
