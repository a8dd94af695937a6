/**
 * Products over live columns against dense ones over the zeroed matrix, half of the columns live: the source of LIVE_COST
 * and MOST_ROWS in src/kernels/wasm-live.ts.
 *
 *   node lab/live.mjs
 *
 * Calls alternate, medians of processor time; packing included.
 */
import { cpuMs, fillRandom, kernels, layout } from "./lab.mjs";

const { call, floats, ints } = await kernels();
const medianOf = (list) => list.sort((a, b) => a - b)[list.length >> 1];

/** Rows of a piece in dW. */
const PIECES = [1, 256, 512, 1024];

for (const [N, K, B, T] of [
  [512, 128, 50, 20],
  [2048, 512, 50, 20],
  [2600, 650, 20, 35],
  [512, 128, 8, 128],
]) {
  const rows = B * T;
  const take = layout();
  const panels = (columns) => 32 * Math.ceil(columns / 32);
  const [x, g, w, nt, nn] = [take(rows * K), take(rows * N), take(N * K), take(panels(N) * K), take(panels(K) * N)];
  const [outN, outK, outNK, list, counts] = [take(rows * N), take(rows * K), take(N * K), take(T * K), take(T)];
  const [packed, xPanels, gPanel, tiles, turned, scratch] = [
    take(rows * (K + 1)),
    take(256 * panels(K)),
    take(8192),
    take(8192),
    take(32 * (K + 1)),
    take(32),
  ];
  for (const [at, length] of [
    [w, N * K],
    [g, rows * N],
    [x, rows * K],
  ])
    fillRandom(floats.subarray(at, at + length), at);
  ints.fill(0, counts, counts + T);
  const draws = fillRandom(new Float32Array(T * K), 7);
  for (let t = 0; t < T; t++)
    for (let c = 0; c < K; c++)
      if (draws[t * K + c] > 0) ints[list + t * K + ints[counts + t]++] = c;
      else for (let r = t * B; r < (t + 1) * B; r++) floats[x + r * K + c] = 0;
  call.packTransposedPanels(N, K, w * 4, K * 4, nt * 4);
  call.packPanels(N, K, w * 4, K * 4, nn * 4);
  const byTime = (f) => {
    for (let t = 0; t < T; t++) f(t);
  };
  const tn = (piece) => () => {
    const together = Math.max(1, Math.floor(piece / B));
    for (let t = 0; t < T; t += together)
      call.liveProductTN(
        Math.min(together, T - t),
        B,
        N,
        K,
        4 * (g + t * B * N),
        4 * (x + t * B * K),
        4 * (list + t * K),
        4 * (counts + t),
        4 * outNK,
        4 * packed,
        4 * gPanel,
        4 * turned,
        128 * (K + 1),
      );
  };
  const runs = {
    dense: () => call.product(rows, N, K, x * 4, K * 4, 4, nt * 4, K * 128, outN * 4, N * 4, scratch * 4),
    live: () =>
      call.liveProduct(T, B, N, K, x * 4, nt * 4, list * 4, counts * 4, outN * 4, packed * 4, gPanel * 4, scratch * 4),
    "dense dx": () => call.product(rows, K, N, g * 4, N * 4, 4, nn * 4, N * 128, outK * 4, K * 4, scratch * 4),
    "live dx": () =>
      call.liveProductNN(T, B, N, K, g * 4, nt * 4, list * 4, counts * 4, outK * 4, gPanel * 4, tiles * 4, scratch * 4),
    "dense dW": () => call.productTN(rows, N, K, g * 4, x * 4, outNK * 4, xPanels * 4, gPanel * 4, scratch * 4),
    "dense h": () =>
      byTime((t) =>
        call.product(
          B,
          N,
          K,
          4 * (x + t * B * K),
          K * 4,
          4,
          nt * 4,
          K * 128,
          4 * (outN + t * B * N),
          N * 4,
          scratch * 4,
        ),
      ),
    "live h": () =>
      byTime((t) =>
        call.liveProduct(
          1,
          B,
          N,
          K,
          4 * (x + t * B * K),
          nt * 4,
          4 * (list + t * K),
          4 * (counts + t),
          4 * (outN + t * B * N),
          packed * 4,
          gPanel * 4,
          scratch * 4,
        ),
      ),
  };
  for (const piece of PIECES) runs[`live dW ${piece}`] = tn(piece);
  const times = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
  const repeats = Math.max(5, Math.min(100, 2e10 / (rows * N * K * 8)));
  for (let i = 0; i < repeats; i++)
    for (const [name, run] of Object.entries(runs)) {
      const start = cpuMs();
      run();
      if (i >= repeats / 4) times[name].push(cpuMs() - start);
    }
  const ms = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, medianOf(list)]));
  const ratio = (live, dense) => `${(ms[dense] / ms[live]).toFixed(2)}x`;
  console.log(
    `N ${N} K ${K} B ${B} T ${T}:  forward ${ratio("live", "dense")}, a time at once ${ratio("live h", "dense h")}, dx ${ratio("live dx", "dense dx")}, dW in pieces of ${PIECES.map((piece) => `${piece} rows ${ratio(`live dW ${piece}`, "dense dW")}`).join(", ")}` +
      `   dense ${["dense", "dense dx", "dense dW"].map((name) => ((2 * rows * N * K) / ms[name] / 1e6).toFixed(0)).join(", ")} GFLOP/s`,
  );
}
