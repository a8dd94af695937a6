/**
 * At which density does a sparse product take as long as the dense one? The answer is FULL in
 * src/kernels/wasm.ts.
 *
 *   node lab/crossover.mjs
 *
 * Sparse and dense calls alternate, medians of processor time; packing of x and making columns included.
 */
import { cpuMs, fillRandom, kernels, layout } from "./lab.mjs";

const { call, floats } = await kernels();
const medianOf = (list) => list.sort((a, b) => a - b)[list.length >> 1];

function compare(runs, repeats) {
  const times = runs.map(() => []);
  for (let i = 0; i < repeats; i++)
    for (const [j, run] of runs.entries()) {
      const start = cpuMs();
      run();
      if (i >= repeats / 4) times[j].push(cpuMs() - start);
    }
  return times.map(medianOf);
}

for (const H of [128, 512]) {
  const [B, N, tnRows] = [50, 4 * H, H === 128 ? 256 : 128];
  const take = layout();
  const rows = Math.max(B, tnRows);
  const [g, w, panels, x] = [take(rows * N), take(N * H), take(N * H), take(rows * H)];
  const [outNN, outTN] = [take(rows * H), take(N * H)];
  const [bitmap, counts, pairs, starts] = [
    take((rows * N) / 32),
    take(rows),
    take(rows * N * 2),
    take(rows * (N / 256 + 1)),
  ];
  const [xPanels, columns, cursors, gPanel, scratch] = [
    take(256 * H),
    take(256 * 528),
    take(256),
    take(8192),
    take(32),
  ];
  fillRandom(floats.subarray(w, w + N * H), 1);
  fillRandom(floats.subarray(x, x + rows * H), 2);
  call.packPanels(N, H, w * 4, H * 4, panels * 4);
  for (const density of [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1]) {
    const random = fillRandom(new Float32Array(rows * N), 3);
    for (let i = 0; i < rows * N; i++) floats[g + i] = (random[i] + 1) / 2 < density ? random[i] : 0;
    const index = (r) => call.compressIndex(g * 4, r, N, bitmap * 4, counts * 4, 1, pairs * 4, starts * 4);
    index(rows);
    const [dense, sparse, lists] = compare(
      [
        () => call.product(B, H, N, g * 4, N * 4, 4, panels * 4, N * 128, outNN * 4, H * 4, scratch * 4),
        () => call.sparseProduct(B, N, H, g * 4, counts * 4, starts * 4, panels * 4, outNN * 4, 2, scratch * 4),
        () => index(B),
      ],
      400,
    );
    index(tnRows);
    const [denseTN, sparseTN] = compare(
      [
        () => call.productTN(tnRows, N, H, g * 4, x * 4, outTN * 4, xPanels * 4, gPanel * 4, scratch * 4),
        () =>
          call.sparseProductTN(
            tnRows,
            N,
            H,
            g * 4,
            counts * 4,
            starts * 4,
            x * 4,
            outTN * 4,
            2,
            xPanels * 4,
            columns * 4,
            cursors * 4,
            gPanel * 4,
            scratch * 4,
          ),
      ],
      H === 128 ? 200 : 60,
    );
    const useful = (rows, ms) => ((2 * rows * N * H * density) / ms / 1e6).toFixed(1);
    console.log(
      `H ${H} density ${density}:  dh ${(dense / sparse).toFixed(2)}x (with lists ${(dense / (sparse + lists)).toFixed(2)}x), ${useful(B, sparse)} GFLOP/s useful` +
        `   dW ${(denseTN / sparseTN).toFixed(2)}x, ${useful(tnRows, sparseTN)}` +
        `   dense ${((2 * B * N * H) / dense / 1e6).toFixed(1)}, ${((2 * tnRows * N * H) / denseTN / 1e6).toFixed(1)}`,
    );
  }
}
