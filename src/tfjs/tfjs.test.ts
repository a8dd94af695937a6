/**
 * Layers beside those they replace, in TensorFlow.js itself, on its cpu backend: the same outputs and gradients from the
 * same weights, in every form of use.
 */
import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { type GatesieveLayers, gatesieveLayers } from "./index.ts";

type Kind = "lstm" | "gru";
type Layer = tf.layers.Layer;
type Options = Record<string, unknown>;
/** A model of one recurrent layer, by its kind and options, out of either library. */
type Build = (recurrent: (options: Options) => Layer) => tf.LayersModel;

const [B, T, I, H] = [3, 5, 4, 6];
const KINDS: readonly Kind[] = ["lstm", "gru"];
const GATES = ["sigmoid", "hardSigmoid"];
const TOLERANCE = 1e-5;
let dense: GatesieveLayers<typeof tf>;

beforeAll(async () => {
  await tf.setBackend("cpu");
  dense = await gatesieveLayers(tf, { engine: "wasm", policy: "dense" });
});

/** Numbers that are the same everywhere, and in no pattern. */
const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);

function both(kind: Kind, build: Build): [ours: tf.LayersModel, theirs: tf.LayersModel] {
  const make = (library: Record<Kind, unknown>) =>
    build((options) => (library[kind] as (args: Options) => Layer)(options));
  const [ours, theirs] = [make(dense as never), make(tf.layers as never)];
  // Biases too, and gates that reach both ends of the hard sigmoid.
  theirs.setWeights(theirs.getWeights().map(({ shape }, i) => noise(shape, 7 + i)));
  ours.setWeights(theirs.getWeights());
  return [ours, theirs];
}

const list = <A>(value: A | A[]): A[] => (Array.isArray(value) ? value : [value]);

/** Outputs, then gradients of weights and inputs, of a loss that weighs every output by a number of its own. */
function seen(model: tf.LayersModel, inputs: tf.Tensor[], byInputs = true): tf.Tensor[] {
  const run = (given: tf.Tensor[]) => list(model.apply(given) as tf.Tensor | tf.Tensor[]);
  const loss = (given: tf.Tensor[]) =>
    tf.addN(run(given).map((y, i) => tf.sum(tf.mul(y, noise(y.shape, 100 + i))))) as tf.Scalar;
  const weights = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const { grads } = tf.variableGrads(() => loss(inputs), weights);
  const ofInputs = byInputs ? tf.grads((...given: tf.Tensor[]) => loss(given))(inputs) : [];
  return [...run(inputs), ...weights.map(({ name }) => grads[name] as tf.Tensor), ...ofInputs];
}

function expectEqual(ours: tf.Tensor[], theirs: tf.Tensor[]): void {
  expect(ours.map(({ shape }) => shape)).toEqual(theirs.map(({ shape }) => shape));
  for (const [index, tensor] of ours.entries()) {
    const [a, b] = [tensor.dataSync(), (theirs[index] as tf.Tensor).dataSync()];
    const size = Math.max(1, ...b.map(Math.abs));
    const worst = Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))));
    expect(worst / size, `tensor ${index} of shape ${tensor.shape}`).toBeLessThan(TOLERANCE);
  }
}

const oneLayer =
  (options: Options): Build =>
  (recurrent) => {
    const x = tf.input({ shape: [null, I] });
    return tf.model({ inputs: x, outputs: recurrent({ units: H, ...options }).apply(x) as tf.SymbolicTensor });
  };

describe.each(KINDS)("%s", (kind) => {
  describe.each(GATES)("recurrentActivation %s", (recurrentActivation) => {
    test.each<Options>([
      {},
      { returnSequences: true },
      { returnState: true },
      { returnSequences: true, returnState: true, goBackwards: true },
      { useBias: false, goBackwards: true },
    ])("outputs and gradients with %o", (options) => {
      const [ours, theirs] = both(kind, oneLayer({ recurrentActivation, ...options }));
      const x = noise([B, T, I], 1);
      expectEqual(seen(ours, [x]), seen(theirs, [x]));
    });
  });

  test("batches of every size, after one another", () => {
    const [ours, theirs] = both(kind, oneLayer({ returnSequences: true }));
    for (const [b, t] of [
      [2, 3],
      [1, 7],
      [4, 2],
      [2, 3],
    ] as const) {
      const x = noise([b, t, I], 10 * b + t);
      expectEqual(seen(ours, [x]), seen(theirs, [x]));
    }
  });

  // Gradients of x come by way of the embedding: TensorFlow.js has none for what makes a mask of it.
  test.each([false, true])("masks of any positions, also of a whole lane; goBackwards: %s", (goBackwards) => {
    const tokens = tf.tensor2d([3, 2, 0, 1, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0], [B, T], "int32");
    for (const returnSequences of [false, true]) {
      const [ours, theirs] = both(kind, (recurrent) => {
        const x = tf.input({ shape: [T], dtype: "int32" });
        const masked = tf.layers.embedding({ inputDim: 4, outputDim: I, maskZero: true }).apply(x) as tf.SymbolicTensor;
        const layer = recurrent({ units: H, returnSequences, returnState: true, goBackwards });
        return tf.model({ inputs: x, outputs: layer.apply(masked) as tf.SymbolicTensor[] });
      });
      expectEqual(seen(ours, [tokens], false), seen(theirs, [tokens], false));
    }
  });

  test("outputs of hidden positions before a lane's first give their gradient to the initial states", () => {
    const mask = tf.tensor2d([0, 0, 1, 0, 1, 1, 0, 0, 0, 0], [2, T]);
    const states = Array.from({ length: kind === "lstm" ? 2 : 1 }, (_, s) => noise([2, H], 20 + s));
    const [ours, theirs] = [dense, tf.layers].map((library) => {
      const layer = (library[kind] as typeof tf.layers.lstm)({ units: H, returnSequences: true });
      layer.build([2, T, I]);
      layer.setWeights(layer.getWeights().map(({ shape }, i) => noise(shape, 7 + i)));
      const call = (...initialState: tf.Tensor[]) =>
        tf.sum(tf.mul(layer.call(noise([2, T, I], 1), { mask, initialState }) as tf.Tensor, noise([2, T, H], 2)));
      return tf.grads(call)(states);
    });
    expectEqual(ours as tf.Tensor[], theirs as tf.Tensor[]);
  });

  test("initial states get gradients", () => {
    const states = kind === "lstm" ? 2 : 1;
    const [ours, theirs] = both(kind, (recurrent) => {
      const x = tf.input({ shape: [null, I] });
      const start = Array.from({ length: states }, () => tf.input({ shape: [H] }));
      const layer = recurrent({ units: H, returnSequences: true });
      return tf.model({
        inputs: [x, ...start],
        outputs: layer.apply(x, { initialState: start }) as tf.SymbolicTensor,
      });
    });
    const given = [noise([B, T, I], 3), ...Array.from({ length: states }, (_, s) => noise([B, H], 4 + s))];
    expectEqual(seen(ours, given), seen(theirs, given));
  });

  test("a layer that is applied twice keeps its passes apart", () => {
    const [ours, theirs] = both(kind, (recurrent) => {
      const x = tf.input({ shape: [null, H] });
      const layer = recurrent({ units: H, returnSequences: true });
      const first = layer.apply(x) as tf.SymbolicTensor;
      return tf.model({ inputs: x, outputs: [first, layer.apply(first) as tf.SymbolicTensor] });
    });
    const x = noise([B, T, H], 9);
    expectEqual(seen(ours, [x]), seen(theirs, [x]));
  });

  test("stateful: states go on from batch to batch until they are reset", () => {
    const [ours, theirs] = both(kind, (recurrent) => {
      const x = tf.input({ batchShape: [B, T, I] });
      const layer = recurrent({ units: H, stateful: true, returnSequences: true });
      return tf.model({ inputs: x, outputs: layer.apply(x) as tf.SymbolicTensor });
    });
    const batches = [noise([B, T, I], 5), noise([B, T, I], 6)];
    const outputs = (model: tf.LayersModel) => batches.map((x) => model.predict(x, { batchSize: B }) as tf.Tensor);
    const run = outputs(ours);
    expectEqual(run, outputs(theirs));
    ours.resetStates();
    expectEqual(outputs(ours), run);
  });

  test("within bidirectional, in a sequential model with other layers, trained by fit()", async () => {
    const train = async (recurrent: (options: Options) => Layer) => {
      const model = tf.sequential();
      const layer = recurrent({ units: H, recurrentActivation: "sigmoid", returnSequences: true });
      model.add(tf.layers.bidirectional({ layer: layer as never, inputShape: [T, I], mergeMode: "concat" }));
      model.add(recurrent({ units: H, dropout: 0 }));
      model.add(tf.layers.dense({ units: 3, activation: "softmax" }));
      model.setWeights(model.getWeights().map(({ shape }, i) => tf.mul(noise(shape, 30 + i), 0.4)));
      model.compile({ optimizer: tf.train.adam(0.01), loss: "categoricalCrossentropy" });
      const labels = tf.oneHot(
        tf.tensor1d(
          Array.from({ length: 12 }, (_, i) => i % 3),
          "int32",
        ),
        3,
      );
      const { history } = await model.fit(noise([12, T, I], 8), labels, {
        epochs: 4,
        batchSize: 6,
        shuffle: false,
        verbose: 0,
      });
      return history.loss as number[];
    };
    const ours = await train((options) => dense[kind](options as never));
    const theirs = await train((options) => tf.layers[kind](options as never));
    for (const [epoch, loss] of ours.entries()) expect(loss).toBeCloseTo(theirs[epoch] as number, 4);
    expect(ours.at(-1)).toBeLessThan(ours[0] as number);
  });
});

describe("a model with our layers", () => {
  const small = (recurrent: (options: Options) => Layer, options: Options = {}) => {
    const model = tf.sequential();
    model.add(recurrent({ units: H, inputShape: [T, I], returnSequences: true, ...options }));
    model.add(tf.layers.dense({ units: 2 }));
    return model;
  };
  const ours = (kind: Kind, options?: Options) => small((given) => dense[kind](given as never) as Layer, options);
  const x = () => noise([B, T, I], 11);

  test("begins with the weights of TensorFlow.js' layer, by name, shape and initial value", () => {
    const initial = { kernelInitializer: tf.initializers.glorotNormal({ seed: 1 }), recurrentInitializer: "ones" };
    const [a, b] = [ours("lstm", initial), small((options) => tf.layers.lstm(options as never), initial)];
    expectEqual(a.getWeights().slice(0, 3), b.getWeights().slice(0, 3)); // then those of the dense layer
    const last = (model: tf.Sequential) => model.weights.map(({ originalName }) => originalName.split("/").at(-1));
    expect(last(a)).toEqual(last(b));
  });

  test.each(KINDS)("is saved and loaded with its policy, and converts both ways: %s", async (kind) => {
    const model = ours(kind, { policy: "energy:0.9", name: "layer" });
    let artifacts: tf.io.ModelArtifacts | undefined;
    const handler = tf.io.withSaveHandler(async (given) => {
      artifacts = given;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    });
    await model.save(handler);
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(artifacts as tf.io.ModelArtifacts));
    expect(dense.telemetry(loaded)).toMatchObject([{ layer: "layer", policy: "energy:0.9", steps: 0 }]);
    const plain = await dense.toTensorFlow(model);
    expect(plain.layers[0]?.getClassName()).toBe(kind.toUpperCase());
    expect(plain.layers[0]?.getConfig()).not.toHaveProperty("policy");
    const back = await dense.toGatesieve(plain);
    expect(back.layers[0]?.getClassName()).toBe(model.layers[0]?.getClassName());
    const outputs = [model, loaded, plain, back].map((one) => one.predict(x()) as tf.Tensor);
    for (const output of outputs.slice(1)) expectEqual([output], [outputs[0] as tf.Tensor]);
  });

  test("drops by its policy alone, and tells what it dropped", async () => {
    const fit = async (policy: string, engine: string) => {
      const library = await gatesieveLayers(tf, { engine, policy, seed: 3 });
      const model = small((options) => library.lstm(options as never) as Layer);
      model.setWeights(model.getWeights().map(({ shape }, i) => noise(shape, 40 + i)));
      model.compile({ optimizer: "adam", loss: "meanSquaredError" });
      const targets = noise([B, T, 2], 12);
      await model.fit(x(), targets, { epochs: 6, batchSize: B, shuffle: false, verbose: 0 });
      return { weights: model.getWeights(), seen: library.telemetry(model)[0]! };
    };
    const sparse = await fit("energy:0.9", "wasm");
    const again = await fit("energy:0.9", "wasm");
    const slow = await fit("energy:0.9", "js");
    const all = await fit("dense", "wasm");
    expect(again.weights.map((one) => [...one.dataSync()])).toEqual(sparse.weights.map((one) => [...one.dataSync()]));
    expectEqual(slow.weights, sparse.weights);
    expect(() => expectEqual(sparse.weights, all.weights)).toThrow();
    expect(sparse.seen).toMatchObject({ steps: 6, policy: "energy:0.9", engine: "wasm, simd128" });
    expect(sparse.seen.sites.map(({ site }) => site)).toEqual([`${sparse.seen.layer}.l0`]);
    expect(sparse.seen.sparsity.dropped).toBeGreaterThan(0.1);
    expect(sparse.seen.sparsity.energy).toBeGreaterThan(0.8);
    expect(sparse.seen.macs.skipped).toBeGreaterThan(0);
    expect(all.seen.sparsity.dropped).toBe(0);
  });

  test("drops inputs by one mask for all of time, in training alone", () => {
    const model = ours("lstm", { dropout: 0.5 });
    const rows = (training: boolean) => {
      const seen = model.apply(tf.ones([B, T, I]), { training }) as tf.Tensor;
      return [...seen.dataSync()];
    };
    expect(rows(false)).toEqual(rows(false));
    expect(rows(true)).not.toEqual(rows(true));
  });

  test("leaves no tensors behind", () => {
    const model = ours("gru");
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const step = () =>
      tf.tidy(() => {
        const { grads } = tf.variableGrads(() => tf.sum(model.apply(x()) as tf.Tensor) as tf.Scalar, variables);
        return Object.keys(grads).length;
      });
    step();
    const before = tf.memory().numTensors;
    expect(step()).toBe(variables.length);
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each<[Options, string]>([
    [{ units: H, activation: "relu" }, "activation is relu; use tanh"],
    [{ units: H, recurrentActivation: "relu" }, "recurrentActivation is relu; use sigmoid or hardSigmoid"],
    [{ units: H, recurrentDropout: 0.1 }, "recurrentDropout is 0.1"],
    [{ units: H, policy: "enerty:0.9" }, 'did you mean "energy"?'],
    [{}, "units is missing"],
  ])("%o is one clear error", (options, message) => {
    for (const kind of KINDS) expect(() => dense[kind](options as never)).toThrow(message);
  });

  test("what is no TensorFlow.js, an unknown engine and states of a wrong shape are too", async () => {
    await expect(gatesieveLayers({} as never)).rejects.toThrow(
      'give what import * as tf from "@tensorflow/tfjs" gives',
    );
    await expect(gatesieveLayers(tf, { engine: "wsam" })).rejects.toThrow('did you mean "wasm"?');
    const layer = dense.lstm({ units: H });
    const states = (last: number) => [tf.zeros([B, H]), tf.zeros([B, last])];
    layer.apply(x(), { initialState: states(H) });
    expect(() => layer.apply(x(), { initialState: states(H + 1) })).toThrow("give 2, each of shape [3,6]");
  });
});
