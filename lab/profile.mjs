/**
 * Where the time of a training step goes: the kernels of a language model's step with engine wasm,
 * each timed by itself in processor time. Default: one-hot 65, 2 layers of 128, B 50, T 50.
 *
 *   node lab/profile.mjs [H] [B] [T] [layers] [V]
 *
 * Gate gradients are what the cell makes of random weights; thresholds are chosen for the density.
 */
import { cpuMs, fillRandom, source } from "./lab.mjs";

const [H = 128, B = 50, T = 50, layers = 2, V = 65] = process.argv.slice(2).map(Number);
const { Arena } = await source("src/core/arena.ts");
const { loadWasmEngine } = await source("src/kernels/wasm.ts");
const { planStatistics, clearStatistics } = await source("src/sparse/statistics.ts");
const { dropRule } = await source("src/sparse/rule.ts");
const { countRows } = await source("src/sparse/pattern.ts");

const arena = new Arena("f32");
const kernels = (await loadWasmEngine()).attach(arena);
const rows = T * B;
const layersOf = Array.from({ length: layers }, (_, l) => {
  const name = `l${l}`;
  const W = arena.tensor(`${name}.W`, [4 * H, l ? H : V], "weights");
  const U = arena.tensor(`${name}.U`, [4 * H, H], "weights");
  const gates = arena.tensor(`${name}.gates`, [rows, 4 * H], "gateGradients");
  const site = { name, groups: ["i", "f", "g", "o"], rows, cols: 4 * H };
  kernels.planTN(rows, 4 * H, H);
  return {
    W: kernels.planWeight(W, l ? { rows, nt: true, nn: true } : { rows, lookup: true }),
    U: kernels.planWeight(U, { rows: B, nt: true, nn: true }),
    dW: arena.tensor(`${name}.dW`, W.shape, "gradients"),
    dU: arena.tensor(`${name}.dU`, U.shape, "gradients"),
    bias: arena.tensor(`${name}.b`, [4 * H], "weights"),
    dBias: arena.tensor(`${name}.db`, [4 * H], "gradients"),
    pattern: kernels.planPattern(site, gates),
    statistics: planStatistics(arena, site),
    step: {
      row: 0,
      hRow: 0,
      stateRow: 0,
      rows: B,
      hidden: H,
      gates,
      h: arena.tensor(`${name}.h`, [rows + B, H], "activations"),
      states: [arena.tensor(`${name}.c`, [rows + B, H], "activations")],
      keeps: [arena.tensor(`${name}.tanhC`, [rows, H], "activations")],
      dh: arena.tensor(`${name}.dh`, [B, H], "workspace"),
      dStates: [arena.tensor(`${name}.dc`, [B, H], "workspace")],
    },
    dx: arena.tensor(`${name}.dx`, [rows, H], "workspace"),
    rule: dropRule(4),
  };
});
const index = arena.ints("x", [rows], "batch");
const targets = arena.ints("y", [rows], "batch");
const chunk = Math.max(16, Math.min(rows, Math.floor(32768 / V)));
const head = arena.tensor("head", [V, H], "weights");
const dHead = arena.tensor("dHead", [V, H], "gradients");
const headW = kernels.planWeight(head, { rows: chunk, nt: true, nn: true });
const headBias = arena.tensor("hb", [V], "weights");
const logits = arena.tensor("logits", [chunk, V], "workspace");
const dy = arena.tensor("dy", [rows, H], "workspace");
kernels.planTN(chunk, V, H);
const flat = (purpose) => arena.range(purpose);
const m = arena.tensor("m", [arena.bytes("weights") / 4], "optimizer");
const v = arena.tensor("v", [arena.bytes("weights") / 4], "optimizer");
arena.allocate();
const weights = flat("weights");
fillRandom(weights.data, 3);
for (let i = 0; i < weights.length; i++) weights.data[i] /= Math.sqrt(H);
for (let i = 0; i < rows; i++) [index.data[i], targets.data[i]] = [(i * 7919) % V, (i * 104729) % V];

/** calls[name][i]: times of the i-th call of that name in a step, one per repeat. */
let calls = {};
let ordinal = {};
const timed = (name, run) => {
  const start = cpuMs();
  const result = run();
  const ms = cpuMs() - start;
  ordinal[name] ??= 0;
  calls[name] ??= [];
  const at = ordinal[name]++;
  calls[name][at] ??= [];
  calls[name][at].push(ms);
  return result;
};
const sparse = (rule) => rule.kind !== "keep";

function step() {
  timed("clear", () => flat("gradients").data.fill(0));
  timed("pack", () => {
    for (const { W, U } of layersOf) for (const weight of [W, U]) kernels.pack(weight);
    kernels.pack(headW);
  });
  for (const [l, { W, U, bias, step }] of layersOf.entries()) {
    timed("bias", () => kernels.setBias(step.gates, 0, rows, bias, bias));
    if (l) timed("x W^T", () => kernels.gemmNT(step.gates, 0, layersOf[l - 1].step.h, B, W, rows));
    else timed("look-up", () => kernels.lookup(step.gates, 0, index, 0, W, rows));
    for (let t = 0; t < T; t++) {
      step.row = step.hRow = step.stateRow = t * B;
      timed("h U^T", () => kernels.gemmNT(step.gates, step.row, step.h, step.row, U, B));
      timed("cell forward", () => kernels.cells.lstm.forward(step));
    }
  }
  timed("clear", () => dy.data.fill(0));
  const top = layersOf[layers - 1].step.h;
  for (let r = 0; r < rows; r += chunk) {
    const n = Math.min(chunk, rows - r);
    timed("head products", () => {
      kernels.setBias(logits, 0, n, headBias);
      kernels.gemmNT(logits, 0, top, B + r, headW, n);
    });
    timed("loss", () => kernels.softmaxCrossEntropy(logits, targets, r, n, 1 / rows));
    timed("head products", () => {
      kernels.gemmTN(dHead, logits, 0, top, B + r, n);
      kernels.gemmNN(dy, r, logits, 0, headW, n);
    });
  }
  let above = dy;
  for (let l = layers - 1; l >= 0; l--) {
    const { W, U, dW, dU, dBias, pattern, statistics, step, rule, dx } = layersOf[l];
    clearStatistics(statistics);
    timed("clear", () => {
      step.dh.data.fill(0);
      step.dStates[0].data.fill(0);
    });
    for (let t = T - 1; t >= 0; t--) {
      step.row = step.hRow = step.stateRow = t * B;
      timed("add dy", () => kernels.addRows(step.dh, 0, above, step.row, B));
      timed("cell backward", () => kernels.cells.lstm.backward(step));
      timed("compress", () => kernels.compress(pattern, step.row, B, rule, statistics));
      if (t === 0) break;
      timed("clear", () => step.dh.data.fill(0));
      if (sparse(rule)) timed("dh", () => kernels.spmmNN(step.dh, 0, pattern, step.row, U, B));
      else timed("dh", () => kernels.gemmNN(step.dh, 0, step.gates, step.row, U, B));
    }
    timed("dU", () =>
      sparse(rule)
        ? kernels.spmmTN(dU, pattern, 0, step.h, 0, rows)
        : kernels.gemmTN(dU, step.gates, 0, step.h, 0, rows),
    );
    timed("db", () => kernels.sumRows(dBias, step.gates, 0, rows));
    if (l === 0) {
      timed("look-up gradient", () => kernels.lookupGradient(dW, index, 0, step.gates, 0, W, rows));
      continue;
    }
    const x = layersOf[l - 1].step.h;
    timed("dW", () =>
      sparse(rule) ? kernels.spmmTN(dW, pattern, 0, x, B, rows) : kernels.gemmTN(dW, step.gates, 0, x, B, rows),
    );
    timed("clear", () => dx.data.fill(0));
    timed("dx", () =>
      sparse(rule) ? kernels.spmmNN(dx, 0, pattern, 0, W, rows) : kernels.gemmNN(dx, 0, step.gates, 0, W, rows),
    );
    above = dx;
  }
  timed("update", () => {
    kernels.sumSquares(flat("gradients"));
    kernels.adam(
      weights,
      flat("gradients"),
      m,
      v,
      { learningRate: 1e-9, gradientScale: 1, step: 100, weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
      false,
    );
  });
}

/** Thresholds that leave a share `density` of each layer's gradients, found from the last dense step. */
function setDensity(density) {
  for (const { rule } of layersOf) rule.kind = "keep";
  if (density === 1) return;
  step();
  const taus = layersOf.map(({ step }) => {
    const sorted = Float32Array.from(step.gates.data, Math.abs).sort();
    return sorted[Math.floor((1 - density) * sorted.length)];
  });
  for (const [l, { rule }] of layersOf.entries()) {
    rule.kind = "threshold";
    rule.tau.fill(taus[l]);
  }
}

const medianOf = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const table = {};
const repeats = 21;
for (const density of [1, 0.2, 0.1, 0.05]) {
  setDensity(density);
  for (let i = 0; i < 5; i++) step();
  calls = {};
  const whole = [];
  for (let i = 0; i < repeats; i++) {
    ordinal = {};
    const start = cpuMs();
    step();
    whole.push(cpuMs() - start);
  }
  const kept = layersOf.map(({ pattern }) => (countRows(pattern, 0, rows) / (rows * 4 * H)).toFixed(3));
  let total = 0;
  for (const [name, list] of Object.entries(calls)) {
    // Medians call by call: another process on the core disturbs single calls, not the sum.
    const ms = list.reduce((sum, times) => sum + medianOf(times), 0);
    total += ms;
    table[name] ??= {};
    table[name][density] = +ms.toFixed(2);
  }
  table.total ??= {};
  table.total[density] = +total.toFixed(2);
  console.log(`density ${density}: kept ${kept.join(" ")}, whole steps ${medianOf(whole).toFixed(1)} ms`);
}
console.table(table);
