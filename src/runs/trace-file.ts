/**
 * The file of a trace: docs/traces.md. Magic, version, a header in JSON, then each site's bitmap, deflated. A site
 * takes at most rows * cols / 8 bytes and a thousandth more: what deflate cannot compress it stores.
 */
import { readFileSync } from "node:fs";
import { deflateSync, inflateSync } from "node:zlib";
import { z } from "zod";
import { formatBytes, UsageError } from "../core/check.ts";
import { netName } from "../nn/nets.ts";
import type { Trace, TraceSite, TraceStep } from "../sparse/trace.ts";
import { countBits, wordsOf } from "../sparse/trace.ts";
import type { Training } from "../train/training.ts";
import type { RunConfig } from "./config.ts";
import { writeFileAtomic } from "./files.ts";
import { version } from "./version.ts";

export const TRACE_VERSION = 1;
const MAGIC = "gstrace\n";
const PREFIX = 16; // magic, version, bytes of the header: two little-endian 32-bit numbers
/** A header or a site beyond these is not one of ours. */
const MAX_HEADER = 2 ** 24;
const MAX_ELEMENTS = 2 ** 34;

const count = z.number().int().nonnegative();
const real = z.number();
const text = z.string();
const productSchema = z.object({
  layer: text,
  product: text,
  direction: z.enum(["forward", "backward"]),
  form: z.enum(["NT", "NN", "TN"]),
  m: count,
  n: count,
  k: count,
  block: count,
  site: text.nullable(),
  firstRow: count,
  skipped: count,
});
const siteSchema = z.object({
  name: text,
  rule: z.enum(["keep", "threshold", "stochastic", "random", "topk", "columns", "rows", "block", "custom"]),
  paths: z.enum(["both", "dh", "dW"]),
  rows: count,
  padded: count.default(0), // older traces have no padding
  cols: count,
  groups: z.array(
    z.object({
      group: text,
      tau: real.nullable(),
      total: count,
      naturalZeros: count,
      kept: count,
      squares: real,
      keptSquares: real,
    }),
  ),
  /** Where its bitmap begins after the header, and how long it is in the file. */
  offset: count,
  bytes: count,
});
const headerSchema = z.object({
  generator: text,
  run: z.object({
    task: text,
    cell: text,
    numLayers: count,
    hiddenSize: count,
    sequenceLength: count,
    batchSize: count,
    policy: text,
    headPolicy: text,
    optimizer: text,
    optimizerStates: count,
    parameters: count,
    engine: text,
    seed: count,
    maxSteps: count,
  }),
  steps: z.array(
    z.object({
      step: count,
      loss: real,
      sites: z.array(siteSchema),
      products: z.array(productSchema),
      pointwise: z.array(z.object({ layer: text, kind: text, rows: count, width: count, gates: count })),
    }),
  ),
});

/** The trace of a training so far. */
export function traceOf(training: Training, config: RunConfig, engine: string): Trace {
  const { trainer, recorder } = training;
  const { optimizer, model } = trainer;
  const states = optimizer.state.reduce((sum, { length }) => sum + length, 0);
  return {
    generator: `gatesieve ${version}`,
    run: {
      task: config.task.name,
      cell: netName(config.model),
      numLayers: config.model.numLayers,
      hiddenSize: config.model.hiddenSize,
      sequenceLength: config.train.sequenceLength,
      batchSize: config.train.batchSize,
      policy: config.policy,
      headPolicy: config.headPolicy,
      optimizer: config.train.optimizer,
      optimizerStates: Math.round(states / optimizer.value.length),
      parameters: model.size,
      engine,
      seed: config.seed,
      maxSteps: trainer.options.maxSteps,
    },
    steps: [...(recorder?.recorded ?? [])],
  };
}

/** Writes the file, whole or not at all; returns its bytes. */
export function writeTrace(path: string, trace: Trace): number {
  const content = encodeTrace(trace);
  writeFileAtomic(path, content, "a trace");
  return content.length;
}

export function encodeTrace({ generator, run, steps }: Trace): Uint8Array {
  const blobs: Uint8Array[] = [];
  let offset = 0;
  const header = {
    generator,
    run,
    steps: steps.map(({ sites, ...step }) => ({
      ...step,
      sites: sites.map(({ bitmap, ...site }) => {
        const blob = deflateSync(bytesOf(bitmap), { level: 9 });
        blobs.push(blob);
        offset += blob.length;
        return { ...site, offset: offset - blob.length, bytes: blob.length };
      }),
    })),
  };
  const json = Buffer.from(JSON.stringify(header), "utf8");
  const prefix = Buffer.alloc(PREFIX);
  prefix.write(MAGIC, "latin1");
  prefix.writeUInt32LE(TRACE_VERSION, 8);
  prefix.writeUInt32LE(json.length, 12);
  return Buffer.concat([prefix, json, ...blobs]);
}

export function readTrace(path: string): Trace {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new UsageError(
      missing
        ? `no trace ${path}. Make one with: gatesieve train --trace ${path}`
        : `trace ${path} cannot be read: ${(error as Error).message}.`,
    );
  }
  return decodeTrace(content, path);
}

/** `name` is what errors call it. */
export function decodeTrace(content: Uint8Array, name: string): Trace {
  const refuse = (what: string): never => {
    throw new UsageError(`trace ${name} ${what}. Make it again with: gatesieve train --trace FILE`);
  };
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (bytes.length < PREFIX || bytes.toString("latin1", 0, MAGIC.length) !== MAGIC)
    refuse(`is no trace: it does not begin with "${MAGIC.trim()}"`);
  const found = bytes.readUInt32LE(8);
  if (found !== TRACE_VERSION) refuse(`has version ${found}, this program reads version ${TRACE_VERSION}`);
  const headerBytes = bytes.readUInt32LE(12);
  const start = PREFIX + headerBytes;
  if (headerBytes > MAX_HEADER || start > bytes.length)
    refuse(`is cut off: its header has ${headerBytes} bytes, ${Math.max(0, bytes.length - PREFIX)} are there`);
  let tree: unknown;
  try {
    tree = JSON.parse(bytes.toString("utf8", PREFIX, start));
  } catch {
    refuse("is damaged: its header is no JSON");
  }
  const header = headerSchema.safeParse(tree);
  if (!header.success) {
    const issue = header.error.issues[0];
    return refuse(`is damaged: header.${issue?.path.join(".")}: ${issue?.message}`);
  }
  const { steps, ...rest } = header.data;
  return {
    ...rest,
    steps: steps.map(({ sites, ...step }): TraceStep => {
      const read = sites.map(({ offset, bytes: length, ...site }): TraceSite => {
        const what = `step ${step.step}, site ${site.name}`;
        if (site.rows * site.cols > MAX_ELEMENTS)
          refuse(`is damaged: ${what} would have ${site.rows} x ${site.cols} gradients`);
        const from = start + offset;
        if (from + length > bytes.length)
          refuse(`is cut off: ${what} ends at byte ${from + length}, the file has ${bytes.length}`);
        const words = new Uint32Array(site.rows * wordsOf(site.cols));
        let raw: Buffer;
        try {
          raw = inflateSync(bytes.subarray(from, from + length), { maxOutputLength: Math.max(1, words.byteLength) });
        } catch {
          return refuse(`is damaged: ${what} cannot be inflated`);
        }
        if (raw.length !== words.byteLength)
          refuse(`is damaged: ${what} has ${formatBytes(raw.length)}, expected ${formatBytes(words.byteLength)}`);
        new Uint8Array(words.buffer).set(raw);
        const kept = site.groups.reduce((sum, group) => sum + group.kept, 0);
        if (countBits(words) !== kept)
          refuse(`is damaged: ${what} has ${countBits(words)} gradients, expected ${kept}`);
        return { ...site, bitmap: words };
      });
      for (const { layer, product, site, firstRow, m, n } of step.products) {
        const seen = site === null ? undefined : read.find((each) => each.name === site);
        if (site !== null && !seen) refuse(`is damaged: step ${step.step} has no site ${site} for ${layer} ${product}`);
        if (seen && (firstRow + m > seen.rows || n !== seen.cols))
          refuse(`is damaged: step ${step.step}, ${layer} ${product} of ${m} x ${n} does not fit site ${site}`);
      }
      return { ...step, sites: read };
    }),
  };
}

/** Little-endian, whatever the machine: typed arrays are so everywhere Node runs. */
function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
