/** Models that come and go: PyTorch's files in, a run's weights out and in again, training on from either. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GatesieveError, UsageError } from "../core/check.ts";
import { numbersOf } from "../formats/onnx-graph.ts";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import { parseRename } from "../formats/state-dict.ts";
import { cells } from "../nn/cells.ts";
import { loadConfig } from "./config.ts";
import { exportFolder, weightsOfRun } from "./export.ts";
import { loadConfigFrom, modelPath } from "./from.ts";
import { importModel } from "./import.ts";
import { openModelSource, readVocabulary } from "./model-source.ts";
import { createRun, evaluateRun, openModel, resumeRun } from "./run.ts";
import { readRun } from "./store.ts";

const golden = fileURLToPath(new URL("../../test/golden/pytorch/", import.meta.url));
const outputs = JSON.parse(readFileSync(join(golden, "outputs.json"), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "gatesieve-travel-"));
const runsDir = join(folder, "runs");
const VOCABULARY = ["<unk>", "\n", " ", "a", "b", "c", "d", "e", "f", "g", "h"];
const vocabulary = join(folder, "vocab.json");
const text = join(folder, "text.txt");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(() => {
  writeFileSync(vocabulary, JSON.stringify(VOCABULARY));
  // Without "h", "g" and "f": the model's vocabulary is not the text's own.
  writeFileSync(text, Array.from({ length: 2000 }, (_, i) => VOCABULARY[2 + ((i + (i >> 3)) % 6)]).join(""));
});

test("numbers of a file are read in pieces, each where it belongs", () => {
  const data = Float32Array.from({ length: 3 * 2 ** 18 + 5 }, (_, i) => i % 65_521);
  const path = join(folder, "pieces.safetensors");
  for (const made of [data, Float64Array.from(data)]) {
    writeFileSync(path, writeSafetensors([{ name: "w", shape: [made.length], data: made }]));
    const { pieces, shape } = openModelSource(path).parameters.get("w")!;
    expect([...pieces()].length).toBeGreaterThan(1);
    expect(Buffer.from(numbersOf({ shape, pieces }).buffer)).toEqual(Buffer.from(data.buffer));
  }
});

let imports = 0;
const importGolden = (name: string, settings: string[] = []) =>
  importModel({
    source: join(golden, `${name}.safetensors`),
    runsDir,
    out: join(runsDir, `import-${imports++}`),
    vocabulary,
    settings: [`task.text=${text}`, ...settings],
  });
const SHORT = ["train.batchSize=4", "train.sequenceLength=8", "train.maxSteps=6", "train.checkpointEverySteps=2"];
const weightsIn = (path: string) => readFileSync(join(path, "model.safetensors"));

describe("a model that PyTorch saved", () => {
  const names = Object.keys(outputs).filter((name) => name.split("-")[0]! in cells && !name.endsWith("-both"));
  test.each(names)("%s computes what PyTorch says", async (name) => {
    const { dir, notes } = await importGolden(name);
    expect(notes.length).toBeGreaterThan(1);
    const { model } = await openModel(runsDir, dir, { T: outputs.T, B: outputs.B, engine: "js" });
    const { tokens, logits } = outputs[name];
    model.tokens.data.set(tokens);
    const got = new Float64Array(logits.length);
    const pass = { ...model.pass, training: false };
    model.head.outputs(model.forward(pass), pass, got);
    for (let i = 0; i < got.length; i++) expect(Math.abs(got[i]! - logits[i])).toBeLessThan(1e-6);
  });

  test("is a run: evaluated, listed, trained on, resumed bit for bit with the vocabulary it came with", async () => {
    const { id, dir } = await importGolden("lstm");
    const before = evaluateRun(await openModel(runsDir, id), "valid").loss;
    expect(readRun(dir)).toMatchObject({ status: "finished", steps: 0, validLoss: null, vocabularySize: 11 });
    const config = loadConfigFrom({
      overrides: [...SHORT, "train.learningRate=0.01", `from=${modelPath(runsDir, id)}`, "engine=wasm"],
    });
    expect(config).toMatchObject({ model: { hiddenSize: 5, numLayers: 2, embedding: 6 }, task: { text } });
    const whole = await createRun({ config, runsDir, id: "whole" });
    expect(whole.info.vocabularySize).toBe(11);
    const end = [...whole.events()].at(-1);
    expect(end).toMatchObject({ type: "end", validLoss: expect.any(Number) });
    expect((end as { validLoss: number }).validLoss).toBeLessThan(before);

    const halves = await createRun({ config, runsDir, id: "halves" });
    halves.stop();
    for (const _ of halves.ticks());
    for (const _ of (await resumeRun(runsDir, "halves")).events());
    expect(weightsIn(join(runsDir, "halves", "model"))).toEqual(weightsIn(join(runsDir, "whole", "model")));
  });

  test("has its vocabulary looked at", async () => {
    const path = join(folder, "other.json");
    const read = (content: unknown) => {
      writeFileSync(path, JSON.stringify(content));
      return readVocabulary(path);
    };
    expect(read({ b: 1, a: 0 })).toEqual(["a", "b"]);
    for (const bad of [{ a: 1 }, { a: 0, b: 0 }, { a: 0.5 }, [1], "a", { a: -1 }])
      expect(() => read(bad)).toThrow(UsageError);
    read(["a", "bc", ...VOCABULARY.slice(2)]);
    const source = join(golden, "lstm.safetensors");
    await expect(importModel({ source, runsDir, vocabulary: path })).rejects.toThrow(/entry 1 is "bc"; task character/);
    await expect(importModel({ source, runsDir, settings: [`task.text=${text}`] })).rejects.toThrow(
      /got F32 \[11,6\] for "embedding.weight" \("encoder.weight"\), expected .* \[7,6\]. The vocabulary has 7 entries/,
    );
  });

  test("that does not fit is refused, with what was got and what was expected", async () => {
    const { tensors } = readSafetensors(readFileSync(join(golden, "lstm.safetensors")));
    const saved = [...tensors].map(([name, { shape, bytes }]) => ({
      name,
      shape,
      data: new Float32Array(new Uint8Array(bytes).buffer),
    }));
    const path = join(folder, "bad.safetensors");
    const importBad = (change: (tensor: (typeof saved)[number]) => unknown, settings: string[] = []) => {
      writeFileSync(path, writeSafetensors(saved.map((tensor) => ({ ...tensor, ...(change(tensor) as object) }))));
      return importModel({ source: path, runsDir, vocabulary, settings: [`task.text=${text}`, ...settings] });
    };
    const only = (name: string, change: object) => (tensor: { name: string }) => (tensor.name === name ? change : {});
    await expect(importBad(only("rnn.bias_ih_l1", { data: new Int32Array(20) }))).rejects.toThrow(
      /got I32 \[20\] for "lstm.bias_ih_l1" \("rnn.bias_ih_l1"\), expected F32, F64, F16, BF16 \[20\]/,
    );
    await expect(importBad(only("rnn.weight_ih_l1", { shape: [20, 4], data: new Float32Array(80) }))).rejects.toThrow(
      /got F32 \[20,4\] for "lstm.weight_ih_l1".* \[20,5\]/,
    );
    await expect(importBad(only("rnn.bias_ih_l1", { name: "x.y" }))).rejects.toThrow(/"rnn.bias_ih_l1" missing/);
    await expect(importBad(() => ({}), ["task.name=adding"])).rejects.toThrow(UsageError);
    await expect(importBad(() => ({}), ["model.numLayers=3"])).rejects.toThrow(/"lstm.weight_ih_l2".* missing/);
    await expect(importBad(() => ({}), ["model.embedding=0"])).rejects.toThrow(
      /"encoder.weight": .* no such parameter/,
    );
    expect(() => openModelSource(join(folder, "none"))).toThrow(/no model/);
    writeFileSync(join(folder, "x.pt"), "PK");
    expect(() => openModelSource(join(folder, "x.pt"))).toThrow(/PyTorch pickle.*save_file/);
    const renames = [parseRename("nobody=x")];
    await expect(importModel({ source: path, runsDir, renames })).rejects.toThrow(/no parameter begins with "nobody"/);
    expect(readdirSync(runsDir).filter((name) => name.includes("bad"))).toEqual([]);
  });

  test("with any byte changed is imported or refused, never worse", () => {
    const good = readFileSync(join(golden, "lstm.safetensors"));
    const path = join(folder, "spoilt.safetensors");
    fc.assert(
      fc.property(fc.nat(1400), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
        const bytes = Buffer.from(good);
        bytes[at] = byte;
        writeFileSync(path, length % 2 ? bytes : bytes.subarray(0, length));
        try {
          for (const { pieces } of openModelSource(path).parameters.values()) for (const _ of pieces());
        } catch (error) {
          if (!(error instanceof GatesieveError)) throw error;
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("a run", () => {
  test("exported and imported is the same model, bit for bit, and scores the same", async () => {
    const config = loadConfig({
      overrides: [...SHORT, `task.text=${text}`, "model.hiddenSize=6", "model.embedding=0"],
    });
    const run = await createRun({ config, runsDir, id: "exported" });
    for (const _ of run.events());
    const out = join(folder, "exported");
    exportFolder(await weightsOfRun(runsDir, "exported"), out);
    expect(readdirSync(out).sort()).toEqual(["README.md", "config.json", "model.safetensors", "vocab.json"]);
    expect(weightsIn(out)).toEqual(weightsIn(join(run.dir, "model")));
    const described = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(described).toMatchObject({ architectures: ["LSTM"], hidden_size: 6, input_size: 7, vocab_size: 7 });
    expect(JSON.stringify(described)).not.toContain(folder); // no path of this machine

    const { id, dir, notes } = await importModel({ source: out, runsDir });
    expect(notes).toEqual([expect.stringMatching(/^its text text.txt is not here/)]);
    expect(weightsIn(join(dir, "model"))).toEqual(weightsIn(out));
    expect(readVocabulary(join(dir, "vocab.json"))).toEqual(readVocabulary(join(out, "vocab.json")));
    const [here, there] = [await openModel(runsDir, "exported"), await openModel(runsDir, id, { text })];
    expect(evaluateRun(there)).toEqual(evaluateRun(here));
    expect(() => evaluateRun(here)).not.toThrow();
    await expect(weightsOfRun(runsDir, id).then((weights) => exportFolder(weights, out))).rejects.toThrow(
      /there already/,
    );
  });

  test("that was stopped is exported from its checkpoint", async () => {
    const config = loadConfig({ overrides: [...SHORT, `task.text=${text}`, "model.hiddenSize=6"] });
    const run = await createRun({ config, runsDir, id: "halfway" });
    for (const _ of run.ticks()) if (run.training.trainer.steps === 3) run.stop();
    expect(() => modelPath(runsDir, "halfway")).toThrow(/has no model yet/);
    const out = join(folder, "halfway");
    exportFolder(await weightsOfRun(runsDir, "halfway"), out);
    expect(weightsIn(out)).toEqual(weightsIn(join(run.dir, "checkpoints", "step-000003")));
  });
});
