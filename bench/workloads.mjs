/**
 * The workloads W0 to W15 and the FLOPs a dense trainer must spend on one step of each.
 *
 * A full step = zero gradients, forward, mean cross-entropy, backward, clip the global norm to 5,
 * SGD; float32; two biases a layer as in PyTorch; uniform random tokens, targets and features from a
 * seed; no dropout; the head untied, with a bias. `carried`: states go on from step to step, else
 * every step starts at zero.
 *
 * `input`: { oneHot } a look-up in W, { tokens, embedding } a trained table, { features } real rows. `cell`: lstm if left
 * out; `bidirectional`: layers read from both ends. `source`: { tokens, embedding, length }: an encoder of the same layers
 * reads it, a decoder with attention (general) the input; both of one direction.
 * `net`: further settings of the model, such as dropout or layerNorm, or another net: { net: "transformer", numHeads }.
 */
export const WORKLOADS = {
  W0: language({ oneHot: 65 }, { layers: 1, H: 32, V: 65, B: 8, T: 20, carried: false }),
  W1: language({ oneHot: 65 }, { layers: 2, H: 128, V: 65, B: 50, T: 50 }),
  W2: language({ oneHot: 65 }, { layers: 2, H: 512, V: 65, B: 50, T: 50 }),
  W3: language({ tokens: 10_000, embedding: 200 }, { layers: 2, H: 200, V: 10_000, B: 20, T: 20 }),
  W4: language({ tokens: 10_000, embedding: 650 }, { layers: 2, H: 650, V: 10_000, B: 20, T: 35 }),
  W5: language({ tokens: 10_000, embedding: 1500 }, { layers: 2, H: 1500, V: 10_000, B: 20, T: 35 }),
  W6: { input: { features: 28 }, layers: 1, H: 128, V: 10, B: 128, T: 28, positions: "last", carried: false },
  W7: language({ tokens: 100, embedding: 256 }, { layers: 3, H: 256, V: 100, B: 50, T: 100, carried: false }),
  W8: language({ oneHot: 65 }, { cell: "gru", layers: 2, H: 512, V: 65, B: 64, T: 50 }),
  W9: language(
    { tokens: 10_000, embedding: 256 },
    { bidirectional: true, layers: 2, H: 256, V: 45, B: 64, T: 30, carried: false },
  ),
  W10: language(
    { tokens: 4000, embedding: 256 },
    {
      source: { tokens: 4000, embedding: 256, length: 30 },
      layers: 2,
      H: 512,
      V: 4000,
      B: 64,
      T: 30,
      carried: false,
    },
  ),
  W11: language({ oneHot: 65 }, { cell: "rnn", layers: 2, H: 512, V: 65, B: 64, T: 50 }),
  W12: language({ oneHot: 65 }, { cell: "mingru", layers: 2, H: 512, V: 65, B: 64, T: 50 }),
  W13: language({ oneHot: 65 }, { layers: 2, H: 512, V: 65, B: 64, T: 50, net: { layerNorm: true } }),
  W14: transformer({ activation: "relu" }), // configs/character-transformer.yaml
  W15: transformer({ activation: "gelu" }),
};

/** Gates of a cell, and whether h meets a matrix. */
const CELLS = {
  lstm: { gates: 4, U: 1 },
  gru: { gates: 3, U: 1 },
  rnn: { gates: 1, U: 1 },
  mingru: { gates: 2, U: 0 },
};

function transformer(settings) {
  const net = { net: "transformer", numHeads: 4, ...settings };
  return language({ tokens: 65, embedding: 128 }, { layers: 4, H: 128, V: 65, B: 32, T: 64, carried: false, net });
}

function isTransformer({ net }) {
  return net?.net === "transformer";
}

/** Every position predicts; states go on from step to step unless said otherwise. */
function language(input, shape) {
  return { input, positions: "all", carried: true, ...shape };
}

/** The workload as a model of ours. */
export function modelSpec({ input, source, cell = "lstm", bidirectional = false, layers, H, V, positions, net }) {
  return {
    ...net,
    ...(source && {
      source: { kind: "tokens", vocabulary: source.tokens, embedding: source.embedding, length: source.length },
    }),
    input: input.features
      ? { kind: "features", size: input.features }
      : { kind: "tokens", vocabulary: input.oneHot ?? input.tokens, embedding: input.embedding },
    ...(net?.net ? {} : { cell, bidirectional }), // a transformer has neither
    hiddenSize: H,
    numLayers: layers,
    output: { kind: "classes", size: V, positions },
  };
}

/** Width of the rows that enter the first layer, or 0 where they are one-hot: a look-up multiplies nothing. */
function firstInputWidth({ input }) {
  return input.oneHot ? 0 : (input.embedding ?? input.features);
}

/**
 * GFLOP of a dense step, 2 per multiply-accumulate of a matrix product: forward x W^T and h U^T;
 * backward dh, dU, dW, and dx where the input is trained or another layer lies below; the head's
 * three products. Look-ups, pointwise work and the update count nothing.
 */
export function gflop(workload) {
  const { input, source, cell = "lstm", bidirectional = false, layers, H, V, B, T, positions } = workload;
  if (source) return (2 * encoderDecoderMacs(workload)) / 1e9;
  if (isTransformer(workload)) return (2 * transformerMacs(workload)) / 1e9;
  const rows = T * B;
  const directions = bidirectional ? 2 : 1;
  const { gates, U } = CELLS[cell];
  const columns = gates * H;
  let macs = 0;
  for (let layer = 0; layer < layers; layer++) {
    const I = layer === 0 ? firstInputWidth(workload) : directions * H;
    const dx = layer > 0 || input.embedding;
    const xProducts = I === 0 ? 0 : dx ? 3 : 2; // x W^T, dW, dx
    macs += directions * rows * columns * I * xProducts;
    macs += U * directions * (rows * 2 + (rows - B)) * columns * H; // h U^T and dU; nothing wants dh before t = 0
  }
  macs += (positions === "last" ? B : rows) * V * directions * H * 3;
  return (2 * macs) / 1e9;
}

/** Blocks of four linear layers, 12 H^2 weights, and six products of attention, whole; a linear layer where x is not H wide. */
function transformerMacs({ input, layers, H, V, B, T }) {
  const linear = 12 * H * H * layers + V * H + (input.embedding === H ? 0 : input.embedding * H);
  return T * B * (3 * linear + 6 * layers * T * H);
}

/** Both stacks with dh before their first step, which the states between them want, and attention over what is read. */
function encoderDecoderMacs({ input, source, layers, H, V, B, T }) {
  const S = source.length;
  const stack = (positions, width) => {
    let macs = 0;
    for (let layer = 0; layer < layers; layer++) macs += positions * B * 4 * H * 3 * ((layer === 0 ? width : H) + H);
    return macs;
  };
  const attention = T * B * (3 * H * H + 3 * 2 * H * H + 6 * S * H); // Wq, Wo, and six products of scores and shares
  return stack(S, source.embedding) + stack(T, input.embedding) + attention + 3 * T * B * V * H;
}

/** Numbers trained. */
export function parameterCount(workload) {
  const { input, source, cell = "lstm", bidirectional = false, layers, H, V, T, net } = workload;
  if (source) {
    const stack = ({ tokens, embedding }) =>
      parameterCount({ input: { tokens, embedding }, cell, layers, H, V }) - V * H - V; // without a head
    return stack(source) + stack(input) + 3 * H * H + V * H + V;
  }
  if (isTransformer(workload)) {
    const { tokens, embedding } = input;
    const block = 12 * H * H + 13 * H; // with biases and two norms
    const linear = embedding === H ? 0 : embedding * H + H;
    return tokens * embedding + linear + T * H + layers * block + 2 * H + V * H + V;
  }
  const directions = bidirectional ? 2 : 1;
  const { gates, U } = CELLS[cell];
  const inputWidth = input.oneHot ?? input.embedding ?? input.features;
  const table = input.embedding ? input.tokens * input.embedding : 0;
  let count = table + V * directions * H + V;
  if (net?.layerNorm) count += layers * 2 * directions * H;
  for (let layer = 0; layer < layers; layer++)
    count += directions * gates * H * ((layer === 0 ? inputWidth : directions * H) + 1 + U * (H + 1));
  return count;
}

export function describe(workload) {
  const { input, source, cell = "lstm", bidirectional = false, layers, H, V, B, T, positions, net } = workload;
  if (source)
    return (
      `encoder-decoder ${layers} x ${H} with attention, embeddings ${input.embedding} of ${input.tokens}, ` +
      `head ${V}, B ${B}, S ${source.length}, T ${T}`
    );
  if (isTransformer(workload))
    return (
      `transformer ${layers} x ${H}, ${net.numHeads} heads, ${net.activation}, embedding ${input.embedding} of ` +
      `${input.tokens}, head ${V}, B ${B}, T ${T}`
    );
  const norm = net?.layerNorm ? " with layer norm" : "";
  const kind = cell === "lstm" && !bidirectional ? "" : `${bidirectional ? "bidirectional " : ""}${cell} `;
  const what = input.oneHot
    ? `one-hot ${input.oneHot}`
    : input.embedding
      ? `embedding ${input.embedding} of ${input.tokens}`
      : `${input.features} features`;
  return `${what}, ${kind}${layers} x ${H}${norm}, head ${V}${positions === "last" ? " at the last t" : ""}, B ${B}, T ${T}`;
}
