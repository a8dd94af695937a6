/**
 * Rules on one path alone, and biases apart, against a backward pass written down a second time: plain
 * loops in float64 over the activations of the forward pass.
 */
import { describe, expect, test } from "vitest";
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import type { CellStep, Engine } from "../kernels/kernels.ts";
import { loadWasmEngine } from "../kernels/wasm.ts";
import { hasNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import { applyRule } from "../sparse/apply.ts";
import { planPattern } from "../sparse/pattern.ts";
import type { Bias, DropRule, Paths } from "../sparse/rule.ts";
import type { Cell } from "./cell.ts";
import { cells } from "./cells.ts";
import { Model, type ModelSpec } from "./model.ts";
import { pieceSteps } from "./pieces.ts";
import { fillBatch, filledModel, gradients, LANGUAGE_MODEL } from "./testing.ts";

const [H, T, B] = [6, 5, 3];
const SPEC: ModelSpec = {
  ...LANGUAGE_MODEL,
  numLayers: 2,
  hiddenSize: H,
  input: { kind: "tokens", vocabulary: 7, embedding: 4 },
};
type CellName = keyof typeof cells;
const CELLS = Object.keys(cells) as CellName[];
const PATHS: readonly Paths[] = ["both", "dh", "dW"];
const BIASES: readonly Bias[] = ["pruned", "dense"];

/** A model with rules at its gates, planned for one path. */
function modelWith(
  paths: Paths,
  set: (rule: DropRule) => void,
  engine: Engine = jsEngine,
  recompute = 0,
  cell: CellName = "lstm",
): Model {
  const model = new Model(engine, { ...SPEC, cell }, { T, B, recompute, real: engine === jsEngine ? "f64" : "f32" });
  for (const site of model.sites) site.planPaths(paths);
  model.initialize(3);
  fillBatch(model, new RandomStream(3, "batch"));
  for (const { rule } of model.sites) {
    set(rule);
    rule.paths = paths;
  }
  return model;
}

const RULES: Record<string, (rule: DropRule) => void> = {
  threshold: (rule) => {
    rule.kind = "threshold";
    rule.tau.fill(3e-4);
  },
  topk: (rule) => {
    rule.kind = "topk";
    rule.share.fill(0.3);
  },
  "rows, unbiased": (rule) => {
    rule.kind = "rows";
    rule.share.fill(0.5);
    rule.unbiased = true;
    rule.key = 77;
  },
  stochastic: (rule) => {
    rule.kind = "stochastic";
    rule.tau.fill(2e-3);
    rule.key = 5;
  },
};

/** out (n, k) += g^T x of one row. */
function outer(out: Float64Array, g: ArrayLike<number>, x: ArrayLike<number>): void {
  for (let n = 0; n < g.length; n++) for (let k = 0; k < x.length; k++) out[n * x.length + k]! += g[n]! * x[k]!;
}

/** out += g w, w (n, k), of one row. */
function times(out: Float64Array, g: ArrayLike<number>, w: ArrayLike<number>): void {
  for (let n = 0; n < g.length; n++) for (let k = 0; k < out.length; k++) out[k]! += g[n]! * w[n * out.length + k]!;
}

/** Gradients of both layers by hand, after one forward pass of `model`; and the nonzeros that each path saw. */
function byHand(model: Model, paths: Paths, bias: Bias) {
  const start = model.carried.map((state) => state.data.slice());
  model.clearGradients();
  model.head.lossAndGradient(model.forward(model.pass), model.pass);
  for (const [index, state] of model.carried.entries()) state.data.set(start[index]!);
  const value = (name: string) => model.parameters.find((parameter) => parameter.name === name)!.value.data;
  const result: Record<string, Float64Array> = {};
  const seen: Record<string, number> = {};
  const cell: Cell = cells[model.spec.cell ?? "lstm"];
  let dy = [...model.head.dx.tensor.data];
  for (const layer of [1, 0]) {
    const step = activations(model, layer);
    const inputs = layer === 1 ? activations(model, 0).h.subarray(B * H) : embedded(model);
    const I = layer === 1 ? H : 4;
    const G = cell.gates.length * H;
    const hasU = cell.hiddenProduct !== "none";
    const W = value(`${cell.name}.weight_ih_l${layer}`);
    const U = hasU ? value(`${cell.name}.weight_hh_l${layer}`) : [];
    const [dW, dU] = [new Float64Array(G * I), new Float64Array(G * H)];
    const [db, dbHidden] = [new Float64Array(G), new Float64Array(G)];
    const dx = new Float64Array(T * B * I);
    const dh = new Float64Array(B * H);
    const dStates = cell.states.map(() => new Float64Array(B * H));
    const rule = model.sites[layer]!.rule;
    const count = (key: string, row: ArrayLike<number>) => {
      seen[`l${layer} ${key}`] = (seen[`l${layer} ${key}`] ?? 0) + Array.from(row).filter((g) => g !== 0).length;
    };
    for (let t = T - 1; t >= 0; t--) {
      for (let i = 0; i < B * H; i++) dh[i]! += dy[t * B * H + i]!;
      const data = (array: Float64Array) => ({ data: array }) as never;
      const gates = step.gates.slice();
      const part = {
        row: t * B,
        hRow: t * B,
        stateRow: t * B,
        rows: B,
        hidden: H,
        gates: data(gates),
        h: data(step.h),
      };
      const of = (arrays: Float64Array[]) => arrays.map(data);
      const states = { states: of(step.states), keeps: of(step.keeps), dh: data(dh), dStates: of(dStates) };
      const cellStep: CellStep = { ...part, ...states, hiddenGates: step.hidden && data(step.hidden) };
      cell.backward(cellStep);
      const every = gates.slice(t * B * G, (t + 1) * B * G);
      const left = pruned(rule, every, t * B);
      const hiddenOf = (g: Float64Array) => {
        if (!cell.dHidden) return g;
        const out = new Float64Array(B * G);
        cell.dHidden(cellStep, data(g), 0, data(out), 0);
        return out;
      };
      const [forH, forW] = [paths === "dW" ? every : left, paths === "dh" ? every : left];
      const forB = bias === "dense" ? every : forW;
      if (!cell.carriesH) dh.fill(0);
      for (let b = 0; b < B; b++) {
        const row = (g: Float64Array) => g.subarray(b * G, (b + 1) * G);
        const r = t * B + b;
        const next = dh.subarray(b * H, (b + 1) * H);
        if (hasU) times(next, row(hiddenOf(forH)), U);
        times(dx.subarray(r * I, (r + 1) * I), row(forH), W);
        outer(dU, row(hiddenOf(forW)), step.h.subarray(r * H, (r + 1) * H));
        outer(dW, row(forW), inputs.subarray(r * I, (r + 1) * I));
        for (let n = 0; n < G; n++) db[n]! += row(forB)[n]!;
        for (let n = 0; n < G; n++) dbHidden[n]! += row(hiddenOf(forB))[n]!;
        count("dx", row(forH));
        if (t > 0) count("dh", row(forH));
        count("dW", row(forW));
        count("dU", row(forW));
      }
    }
    result[`${cell.name}.weight_ih_l${layer}`] = dW;
    result[`${cell.name}.weight_hh_l${layer}`] = dU;
    result[`${cell.name}.bias_ih_l${layer}`] = db;
    result[`${cell.name}.bias_hh_l${layer}`] = dbHidden;
    if (layer === 0) result["embedding.weight"] = spread(model, dx);
    dy = [...dx];
  }
  return { result, seen };

  function pruned(rule: DropRule, every: Float64Array, row: number): Float64Array {
    const arena = new Arena("f64");
    const dense = arena.tensor("g", [B, cell.gates.length * H], "gateGradients");
    const pattern = planPattern(arena, model.sites[0]!.site, dense);
    arena.allocate();
    dense.data.set(every);
    pattern.firstRow = row;
    applyRule(rule, pattern, 0, B);
    return Float64Array.from(dense.data);
  }
}

function activations(model: Model, layer: number) {
  const cell: Cell = cells[model.spec.cell ?? "lstm"];
  const of = (name: string) => {
    const full = `${cell.name}.l${layer}.${name}`;
    const tensor = model.arena.tensors.find((tensor) => (tensor as { name: string }).name === full);
    return Float64Array.from((tensor as unknown as { data: Float64Array }).data);
  };
  const hidden = cell.hiddenProduct === "apart" ? of("hiddenGates") : undefined;
  return { gates: of("gates"), hidden, h: of("h"), states: cell.states.map(of), keeps: cell.keeps.map(of) };
}

function embedded(model: Model): Float64Array {
  const table = model.parameters.find(({ name }) => name === "embedding.weight")!.value.data;
  return Float64Array.from(
    { length: T * B * 4 },
    (_, i) => table[model.tokens.data[Math.floor(i / 4)]! * 4 + (i % 4)]!,
  );
}

function spread(model: Model, dx: Float64Array): Float64Array {
  const out = new Float64Array(7 * 4);
  for (let i = 0; i < dx.length; i++) out[model.tokens.data[Math.floor(i / 4)]! * 4 + (i % 4)]! += dx[i]!;
  return out;
}

const CASES = PATHS.flatMap((paths) => BIASES.map((bias) => [paths, bias] as const));

describe.each(CASES)("paths %s, bias %s", (paths, bias) => {
  const each = CELLS.flatMap((cell) => Object.keys(RULES).map((name) => [cell, name] as const));
  test.each(each)("%s, rule %s: gradients and multiply-accumulates as by hand", (cell, name) => {
    const set = RULES[name] as (rule: DropRule) => void;
    const model = modelWith(paths, set, jsEngine, 0, cell);
    for (const { rule } of model.sites) rule.bias = bias;
    const { result, seen } = byHand(model, paths, bias);
    const got = gradients(model);
    for (const [index, { name: parameter }] of model.parameters.entries()) {
      const expected = result[parameter];
      if (!expected) continue; // the head's
      const largest = Math.max(...expected.map(Math.abs));
      expect(largest).toBeGreaterThan(1e-6);
      for (const [i, x] of expected.entries())
        expect(Math.abs(got[index]![i]! - x)).toBeLessThan(1e-13 + 1e-12 * largest);
    }
    for (const { layer, product, direction, dense, skipped, executed } of model.macs) {
      if (direction === "forward" || !layer.startsWith(cell)) continue;
      const width = (product === "dx" || product === "dW") && layer === `${cell}.l0` ? 4 : H;
      expect(dense - skipped, `${layer} ${product}`).toBe(seen[`${layer.split(".")[1]} ${product}`]! * width);
      const sparse = product === "dh" || product === "dx" ? paths !== "dW" : paths !== "dh";
      expect(executed, `${layer} ${product}`).toBe(sparse ? dense - skipped : dense);
    }
  });

  test.each(CELLS)("%s, by segments: as all at once", (cell) => {
    for (const set of [RULES.threshold!, RULES["rows, unbiased"]!]) {
      const models = [0, 2].map((recompute) => modelWith(paths, set, jsEngine, recompute, cell));
      for (const model of models) for (const { rule } of model.sites) rule.bias = bias;
      const [whole, parts] = models.map(gradients);
      for (const [index, gradient] of whole!.entries())
        for (const [i, x] of gradient.entries()) expect(Math.abs(parts![index]![i]! - x)).toBeLessThan(1e-13);
      const backward = models.map(({ macs }) =>
        macs.filter(({ direction }) => direction === "backward").map(({ skipped, executed }) => [skipped, executed]),
      );
      expect(backward[1]).toEqual(backward[0]);
    }
  });
});

const engines: Engine[] = [await loadWasmEngine(), ...(hasNativeAddon() ? [await loadNativeEngine(1)] : [])];

describe.each(engines.map((engine) => [engine.name, engine] as const))("engine %s", (_, engine) => {
  const each = CASES.flatMap((both) => CELLS.map((cell) => [...both, cell] as const));
  test.each(each)("paths %s, bias %s, %s: as js", (paths, bias, cell) => {
    for (const set of [RULES.topk!, RULES["rows, unbiased"]!]) {
      const [tested, exact] = [engine, jsEngine].map((one) => modelWith(paths, set, one, 0, cell)) as [Model, Model];
      for (const [index, { value }] of tested.parameters.entries()) exact.parameters[index]!.value.data.set(value.data);
      for (const [index, state] of tested.carried.entries()) exact.carried[index]!.data.set(state.data);
      for (const model of [tested, exact]) for (const { rule } of model.sites) rule.bias = bias;
      const [a, b] = [gradients(tested), gradients(exact)];
      for (const [index, gradient] of b.entries()) {
        const largest = Math.max(...gradient.map(Math.abs));
        for (const [i, x] of gradient.entries()) expect(Math.abs(a[index]![i]! - x)).toBeLessThan(1e-5 * largest);
      }
    }
  });
});

test("the head has paths and biases apart too", () => {
  const set = (paths: Paths, bias: Bias, kind: DropRule["kind"] = "threshold") => {
    const model = filledModel(jsEngine, SPEC, { T, B, real: "f64" });
    Object.assign(model.head.site.rule, { kind, paths, bias });
    model.head.site.rule.tau[0] = 0.01;
    const all = gradients(model);
    const of = (name: string) => all[model.parameters.findIndex((parameter) => parameter.name === name)];
    const macs = Object.fromEntries(model.macs.filter(({ layer }) => layer === "head").map((m) => [m.product, m]));
    return { weight: of("head.weight"), bias: of("head.bias"), dx: [...model.head.dx.tensor.data], macs };
  };
  const dense = set("both", "pruned", "keep");
  const both = set("both", "pruned");
  for (const key of ["weight", "bias", "dx"] as const) expect(both[key]).not.toEqual(dense[key]);
  const expectations: [Paths, Bias, weight: unknown, bias: unknown, dx: unknown][] = [
    ["both", "dense", both.weight, dense.bias, both.dx],
    ["dW", "pruned", both.weight, both.bias, dense.dx],
    ["dW", "dense", both.weight, dense.bias, dense.dx],
    ["dh", "pruned", dense.weight, dense.bias, both.dx],
    ["dh", "dense", dense.weight, dense.bias, both.dx],
  ];
  for (const [paths, bias, dW, db, dx] of expectations) {
    const got = set(paths, bias);
    expect([got.weight, got.bias, got.dx], `${paths}, ${bias}`).toEqual([dW, db, dx]);
    for (const [product, pruned] of [
      ["dW", paths !== "dh"],
      ["dx", paths !== "dW"],
    ] as const) {
      const { skipped, executed, dense: all } = got.macs[product]!;
      expect(skipped).toBe(pruned ? both.macs[product]!.skipped : 0);
      expect(executed).toBe(pruned ? all - skipped : all);
    }
  }
});

describe("unbiased rules leave the expectation of every gradient alone", () => {
  const unbiased: Record<string, (rule: DropRule) => void> = {
    stochastic: RULES.stochastic!,
    random: (rule) => {
      rule.kind = "random";
      rule.share.fill(0.5);
    },
    columns: (rule) => {
      rule.kind = "columns";
      rule.unbiased = true;
      rule.share.fill(0.4);
    },
    rows: RULES["rows, unbiased"]!,
  };
  /**
   * The mean over n keys, in standard errors of its own: for independent draws these are standard normal, so over
   * the some 700 gradients of the two layers their root mean square is near 1, and none is above 5.
   */
  test.each(Object.keys(unbiased).flatMap((name) => PATHS.map((paths) => [name, paths] as const)))(
    "%s, paths %s",
    (name, paths) => {
      const dense = gradients(modelWith("both", () => {})).flat();
      const model = modelWith(paths, unbiased[name] as (rule: DropRule) => void);
      const n = 400;
      const sums = new Float64Array(dense.length);
      const squares = new Float64Array(dense.length);
      for (let draw = 0; draw < n; draw++) {
        for (const [index, { rule }] of model.sites.entries()) rule.key = Math.imul(2 * draw + index + 1, 0x9e3779b1);
        for (const [i, x] of gradients(model).flat().entries()) {
          sums[i]! += x - dense[i]!;
          squares[i]! += (x - dense[i]!) ** 2;
        }
      }
      let [total, count, worst] = [0, 0, 0];
      for (let i = 0; i < dense.length; i++) {
        const mean = sums[i]! / n;
        const error = Math.sqrt((squares[i]! / n - mean * mean) / n);
        if (error < 1e-12) {
          expect(Math.abs(mean)).toBeLessThan(1e-12); // not touched by the rule
          continue;
        }
        total += (mean / error) ** 2;
        worst = Math.max(worst, Math.abs(mean / error));
        count++;
      }
      expect(count).toBeGreaterThan(100);
      expect(Math.sqrt(total / count)).toBeLessThan(1.3);
      expect(worst).toBeLessThan(5);
    },
  );

  test("and the check can fail: topk is biased", () => {
    const dense = gradients(modelWith("both", () => {})).flat();
    const sparse = gradients(modelWith("both", RULES.topk!)).flat();
    const difference = Math.hypot(...dense.map((x, i) => x - sparse[i]!)) / Math.hypot(...dense);
    expect(difference).toBeGreaterThan(0.05);
  });
});

describe("planning", () => {
  const bytes = (paths: Paths) => {
    const model = new Model(jsEngine, SPEC, { T, B });
    for (const site of [...model.sites, model.head.site]) site.planPaths(paths);
    return model.arena.bytes();
  };

  test("only rules on dh alone need room, for one piece of backward", () => {
    expect(bytes("dW")).toBe(bytes("both"));
    const rows = pieceSteps(4 * H * H, T, B) * B;
    expect(bytes("dh") - bytes("both")).toBeGreaterThanOrEqual(2 * rows * 4 * H * 4);
    expect(bytes("dh") - bytes("both")).toBeLessThan(2 * (rows * 4 * H * 4 + 512));
  });

  test("a rule that was not planned for is refused by name", () => {
    const model = filledModel(jsEngine, SPEC, { T, B });
    Object.assign(model.sites[1]!.rule, { kind: "threshold", paths: "dh" });
    expect(() => model.lossAndGradient(model.pass)).toThrow(/site lstm.l1: a rule on path dh was not planned for/);
  });
});
