/** For tests: traces of made-up layers, with a pattern of a given density. */
import { RandomStream } from "../core/random.ts";
import type { TraceProduct, TraceRun, TraceSite, TraceStep } from "../sparse/trace.ts";
import { countBits, wordsOf } from "../sparse/trace.ts";
import { randomBits } from "./random-step.ts";

export interface Shape {
  readonly T: number;
  readonly B: number;
  readonly H: number;
  readonly gates?: number;
  readonly layers?: number;
  readonly V?: number;
}

/** A step as a training records it; every gradient is nonzero with probability `density`, independently. */
export function madeStep({ T, B, H, gates = 4, layers = 1, V = 0 }: Shape, density: number, seed = 1): TraceStep {
  const random = new RandomStream(seed, "energy");
  const [m, n] = [T * B, gates * H];
  const sites = Array.from({ length: layers }, (_, l): TraceSite => madeSite(`lstm.l${l}`, m, n, density, random));
  const products = sites.flatMap((site, l): TraceProduct[] => {
    const base = { layer: site.name, n, k: H, block: m, firstRow: 0, site: null, skipped: 0, m } as const;
    const seen = (firstRow: number) => {
      const words = wordsOf(n);
      const kept = countBits(site.bitmap.subarray(firstRow * words));
      return { site: site.name, firstRow, skipped: ((m - firstRow) * n - kept) * H };
    };
    return [
      { ...base, product: "xW", direction: "forward", form: "NT" },
      { ...base, product: "hU", direction: "forward", form: "NT", block: B },
      { ...base, product: "dh", direction: "backward", form: "NN", block: B, ...seen(B), m: m - B },
      ...(l > 0 ? [{ ...base, product: "dx", direction: "backward", form: "NN", ...seen(0) } as const] : []),
      { ...base, product: "dW", direction: "backward", form: "TN", ...seen(0) },
      { ...base, product: "dU", direction: "backward", form: "TN", ...seen(0) },
    ];
  });
  const head = { layer: "head", n: V, k: H, block: m, firstRow: 0, site: null, skipped: 0, m } as const;
  if (V > 0)
    products.push(
      { ...head, product: "xW", direction: "forward", form: "NT" },
      { ...head, product: "dx", direction: "backward", form: "NN" },
      { ...head, product: "dW", direction: "backward", form: "TN" },
    );
  return {
    step: 1,
    loss: 1,
    sites,
    products,
    pointwise: [
      ...sites.map(({ name }) => ({ layer: name, kind: "lstm", rows: m, width: H, gates })),
      ...(V > 0 ? [{ layer: "head", kind: "softmax", rows: m, width: V, gates: 1 }] : []),
    ],
  };
}

export function madeSite(name: string, rows: number, cols: number, density: number, random: RandomStream): TraceSite {
  const bitmap = randomBits(rows, cols, density, random);
  const kept = countBits(bitmap);
  const group = { group: "all", tau: null, total: rows * cols, naturalZeros: 0, kept, squares: 1, keptSquares: 1 };
  return { name, groups: [group], rule: "threshold", paths: "both", rows, padded: 0, cols, bitmap };
}

export function madeRun({ T, B, H, layers = 1 }: Shape): TraceRun {
  return {
    task: "character",
    cell: "lstm",
    numLayers: layers,
    hiddenSize: H,
    sequenceLength: T,
    batchSize: B,
    policy: "threshold:1e-6",
    headPolicy: "dense",
    optimizer: "adam",
    optimizerStates: 2,
    parameters: layers * 8 * H * H,
    engine: "js",
    seed: 1,
    maxSteps: 1,
  };
}
