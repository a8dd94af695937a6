/**
 * jax-js on its wasm device: the same full step under one jit, the loop over t unrolled (0.1.25 has
 * no scan). The input product runs at every t: taking it out of the loop was slower here (its
 * gradient pads and adds T slices), as was one matrix per gate. One bias a layer.
 */
import { readFileSync } from "node:fs";
import { blockUntilReady, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { drawBatches, LARGEST_TABLE, random, uniform } from "./data.mjs";

const CLIP = 5;
const LEARNING_RATE = 0.1;

/** The gradient of take does not compile under jit in 0.1.25: a table costs a one-hot product. */
export function whyNot({ input }) {
  if (input.embedding && input.tokens > LARGEST_TABLE)
    return `its jit cannot compile the gradient of take, and a one-hot product with ${input.tokens} rows would be no comparison`;
}

export async function start(workload, { seed }) {
  await init("wasm");
  const { input, layers, H, V, B, T, positions, carried } = workload;
  const next = random(seed);
  const weight = (rows, cols) => np.array(uniform(next, rows * cols, H)).reshape([rows, cols]);
  const bias = (cols) => np.array(uniform(next, cols, H));
  const width = input.oneHot ?? input.embedding ?? input.features;
  let parameters = {
    table: input.embedding ? [weight(input.tokens, input.embedding)] : [],
    cells: Array.from({ length: layers }, (_, layer) => ({
      W: weight(layer === 0 ? width : H, 4 * H),
      U: weight(H, 4 * H),
      b: bias(4 * H),
    })),
    head: { W: weight(H, V), b: bias(V) },
  };
  const zeroStates = () => Array.from({ length: layers }, () => ({ h: np.zeros([B, H]), c: np.zeros([B, H]) }));

  function layerForward({ W, U, b }, xs, { h, c }) {
    const hs = [];
    for (const x of xs) {
      const net = np.matmul(x, W.ref).add(np.matmul(h, U.ref)).add(b.ref);
      const [i, f, g, o] = np.split(net, 4, 1);
      c = nn
        .sigmoid(f)
        .mul(c)
        .add(nn.sigmoid(i).mul(np.tanh(g)));
      h = nn.sigmoid(o).mul(np.tanh(c.ref));
      hs.push(h.ref);
    }
    tree.dispose([W, U, b]);
    return { hs, ended: { h, c } };
  }

  function loss({ table, cells, head }, states, x, targets) {
    const oneHot = () => nn.oneHot(x, input.oneHot ?? input.tokens);
    const rows = input.features ? x : table[0] ? np.matmul(oneHot(), table[0]) : oneHot();
    let xs = np.unstack(rows.reshape([T, B, width]), 0);
    const ended = [];
    for (const [layer, cell] of cells.entries()) {
      const result = layerForward(cell, xs, states[layer]);
      xs = result.hs;
      ended.push(result.ended);
    }
    let y;
    if (positions === "last") {
      y = xs.pop();
      tree.dispose(xs);
    } else y = np.concatenate(xs, 0);
    const logits = np.matmul(y, head.W).add(head.b);
    const counted = positions === "last" ? B : T * B;
    const value = nn
      .logSoftmax(logits, -1)
      .mul(nn.oneHot(targets, V))
      .sum()
      .mul(-1 / counted);
    return [value, ended];
  }

  const update = jit((parameters, states, x, targets) => {
    const [[value, ended], gradients] = valueAndGrad(loss, { hasAux: true })(tree.ref(parameters), states, x, targets);
    const squares = tree.leaves(gradients).map((gradient) => np.square(gradient.ref).sum());
    const norm = np.sqrt(squares.reduce((sum, square) => sum.add(square)));
    const rate = np.minimum(1, np.array(CLIP).div(norm.add(1e-6))).mul(LEARNING_RATE);
    const updated = tree.map((value, gradient) => value.sub(gradient.mul(rate.ref)), parameters, gradients);
    rate.dispose();
    return [value, ended, updated];
  });

  const batches = drawBatches(workload, seed);
  let states = zeroStates();
  let at = 0;
  return {
    version: JSON.parse(readFileSync(new URL("./node_modules/@jax-js/jax/package.json", import.meta.url), "utf8"))
      .version,
    engine: "wasm",
    isa: "simd128",
    threads: 1, // its pool needs a global Worker, which Node has not
    async step() {
      const { x, targets } = batches[at];
      at = (at + 1) % batches.length;
      const rows = input.features ? np.array(x).reshape([T * B, input.features]) : np.array(x, { dtype: np.int32 });
      const [value, ended, updated] = update(parameters, states, rows, np.array(targets, { dtype: np.int32 }));
      parameters = updated;
      if (carried) states = ended;
      else {
        tree.dispose(ended);
        states = zeroStates();
      }
      await blockUntilReady(parameters);
      return (await value.data())[0];
    },
  };
}
