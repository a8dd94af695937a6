/** A run's encoder and decoder as two ONNX files in a folder, and those run one after the other beside our own. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { check } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { ONNX_PARTS, type OnnxPart, onnxOfEncoderDecoder } from "../formats/onnx-encoder-decoder.ts";
import type { EncoderDecoder } from "../nn/encoder-decoder.ts";
import type { Model } from "../nn/model.ts";
import { netName } from "../nn/nets.ts";
import { type RunWeights, withoutFolders } from "./export.ts";
import { createFolderAtomic } from "./files.ts";
import {
  addDifferences,
  type Expected,
  judge,
  loadOnnxRuntime,
  type OnnxCheck,
  type Runtime,
  type RuntimeTensor,
  streamOnnx,
  weightsByName,
} from "./onnx.ts";
import { fileOfPart, ONNX_METADATA } from "./onnx-source.ts";
import { openModel } from "./open.ts";
import { version } from "./version.ts";

/** Writes a folder, which must not be there yet, of encoder.onnx and decoder.onnx. The run's task must write. */
export function exportOnnxParts(weights: RunWeights, out: string): { bytes: number } {
  const { model, task, info, scores, config } = weights;
  const { encoding } = task;
  const pieces = (encoding as { readonly tokenizer?: { readonly vocabulary?: readonly string[] } } | undefined)
    ?.tokenizer?.vocabulary;
  const metadata = (part: OnnxPart) => {
    const own = { version, run: info.id, part, scores, config: withoutFolders(config) };
    return new Map<string, string>([
      [ONNX_METADATA.own, JSON.stringify(own)],
      ...(pieces ? [[ONNX_METADATA.vocabulary, JSON.stringify(pieces)] as const] : []),
      ...(encoding ? [[ONNX_METADATA.encoding, JSON.stringify(encoding)] as const] : []),
    ]);
  };
  const parts = onnxOfEncoderDecoder(model.spec, weightsByName(weights), { version, metadata });
  const files = Object.fromEntries(ONNX_PARTS.map((part) => [fileOfPart(part), streamOnnx(parts[part])]));
  check(
    createFolderAtomic(resolve(out), files, "the exported model"),
    `${out} is there already; choose another folder with --out.`,
  );
  return { bytes: Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0) };
}

/**
 * Runs the two files in onnxruntime, the decoder on what the encoder said and then on where it ended, and the run's own
 * net on the same random sources, lengths and tokens; a folder that says something else is removed.
 */
export async function checkOnnxParts(runsDir: string, idOrDir: string, out: string): Promise<OnnxCheck> {
  const { name, runtime } = await loadOnnxRuntime();
  const session = (part: OnnxPart) =>
    runtime.InferenceSession.create(readFileSync(join(resolve(out), fileOfPart(part))), { logSeverityLevel: 3 });
  const [encoder, decoder] = [await session("encoder"), await session("decoder")];
  const { model } = await openModel(runsDir, idOrDir, { T: 7, B: 3, engine: "js" });
  const own = new OwnPasses(model, runtime);
  const differences: Record<string, number> = {};
  const shapes = [
    { T: 7, B: 3 },
    { T: 1, B: 1 },
  ];
  for (const { T, B } of shapes) {
    const read = own.encode(T, B);
    const { memory, ...begin } = await encoder.run(read.feeds);
    addDifferences(differences, read.expected, { memory: memory as RuntimeTensor, ...begin });
    const looked = own.attends ? { memory, source_lengths: read.feeds.source_lengths } : {};
    let states = begin;
    for (const steps of [T, 1]) {
      const written = own.decode(steps, B);
      const said = await decoder.run({ ...written.feeds, ...states, ...looked });
      addDifferences(differences, written.expected, said);
      states = Object.fromEntries(own.states.map((state) => [`${state}0`, said[`${state}n`] as RuntimeTensor]));
    }
  }
  return judge(out, name, shapes, differences);
}

interface PassBeside {
  readonly feeds: Record<string, RuntimeTensor>;
  readonly expected: Record<string, Expected>;
}

/** Passes of our own net over random input, and the feeds of the same. */
class OwnPasses {
  readonly attends: boolean;
  readonly states: readonly string[];
  readonly #model: Model;
  readonly #net: EncoderDecoder;
  readonly #tensor: Runtime["Tensor"];
  readonly #random = new RandomStream(0, "onnx check");

  constructor(model: Model, { Tensor }: Runtime) {
    this.#model = model;
    this.#net = model.encoderDecoder as EncoderDecoder;
    this.#tensor = Tensor;
    this.attends = this.#net.attention !== undefined;
    this.states = netName(model.spec) === "lstm" ? ["h", "c"] : ["h"];
  }

  /** Sources as long as the model reads, the first lane's; of one lane alone a single position. */
  encode(T: number, B: number): PassBeside {
    const { hiddenSize: H, source } = this.#model.spec;
    const spec = source as NonNullable<typeof source>;
    const random = this.#random;
    const S = B === 1 ? 1 : spec.length;
    const lengths = Int32Array.from({ length: B }, (_, b) => (b === 0 ? S : 1 + random.below(S)));
    const buffers = this.#net.buffers();
    buffers.lengths.set(lengths);
    const feeds: Record<string, RuntimeTensor> = { source_lengths: new this.#tensor("int32", lengths, [B]) };
    if (spec.kind === "tokens") {
      const tokens = Int32Array.from({ length: S * B }, () => random.below(spec.vocabulary));
      buffers.tokens!.set(tokens);
      feeds.source = new this.#tensor("int64", BigInt64Array.from(tokens, BigInt), [S, B]);
    } else {
      const features = Float32Array.from({ length: S * B * spec.size }, () => random.normal());
      buffers.features!.set(features);
      feeds.source = new this.#tensor("float32", features, [S, B, spec.size]);
    }
    this.#net.encode({ ...this.#model.pass, T, B, training: false });
    const { tensor, row } = this.#net.memory;
    const memory = {
      values: tensor.data.slice(row * H, (row + S * B) * H),
      dims: [S, B, H],
      counts: (i: number) => Math.floor(i / H / B) < lengths[Math.floor(i / H) % B]!,
    };
    return { feeds, expected: { memory, ...this.#ends("0", B) } };
  }

  /** From where the pass before left the decoder. */
  decode(T: number, B: number): PassBeside {
    const { input, output } = this.#model.spec;
    const size = input.kind === "tokens" ? input.vocabulary : 0;
    const tokens = Int32Array.from({ length: T * B }, () => this.#random.below(size));
    this.#model.tokens.data.set(tokens);
    const pass = { ...this.#model.pass, T, B, lengths: undefined, training: false };
    const values = new Float32Array(T * B * output.size);
    this.#model.head.outputs(this.#net.decode(this.#model.input, pass), pass, values);
    return {
      feeds: { tokens: new this.#tensor("int64", BigInt64Array.from(tokens, BigInt), [T, B]) },
      expected: { output: { values, dims: [T, B, output.size], counts: () => true }, ...this.#ends("n", B) },
    };
  }

  /** The decoder's states now, "h0" or "hn" with c beside it. */
  #ends(suffix: "0" | "n", B: number): Record<string, Expected> {
    const { numLayers, hiddenSize: H } = this.#model.spec;
    const layers = this.#net.recurrent.slice(-numLayers);
    return Object.fromEntries(
      this.states.map((state, index) => {
        const values = layers.flatMap(({ carried }) => Array.from(carried[index]!.data.subarray(0, B * H)));
        return [`${state}${suffix}`, { values, dims: [numLayers, B, H], counts: () => true }];
      }),
    );
  }
}
