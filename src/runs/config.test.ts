import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { TASKS, tasks } from "../tasks/tasks.ts";
import { loadConfig, parseConfig, policyText } from "./config.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The message of the UsageError; it must be one line. */
function messageOf(...overrides: string[]): string {
  try {
    loadConfig({ overrides });
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).not.toContain("\n");
    return (error as Error).message;
  }
  throw new Error(`${overrides} was accepted`);
}

describe("defaults", () => {
  test("are the documented ones", () => {
    expect(loadConfig()).toEqual({
      task: { name: "character", text: "melville-moby_dick" },
      model: {
        net: "recurrent",
        cell: "lstm",
        numLayers: 2,
        hiddenSize: 128,
        bidirectional: false,
        embedding: 128,
        dropout: 0,
        inputDropout: 0,
        recurrentDropout: 0,
        residual: false,
        layerNorm: false,
        forgetBias: 1,
        chronoInit: 0,
        recompute: 0,
        forward: "f32",
      },
      train: {
        batchSize: 50,
        sequenceLength: 50,
        maxSteps: 1200,
        optimizer: "adam",
        learningRate: 2e-3,
        momentum: 0,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        alpha: 0.99,
        lazyRows: false,
        schedule: "linear",
        warmupSteps: 0,
        gradientClipVal: 5,
        valCheckInterval: 100,
        patience: 0,
        logEverySteps: 10,
        telemetryEverySteps: 50,
        probeEverySteps: 200,
        checkpointEverySteps: 100,
      },
      policy: "stochastic:0.98",
      headPolicy: "dense",
      engine: "auto",
      threads: 1,
      seed: 1,
    });
  });

  test("of the other tasks", () => {
    expect(loadConfig({ overrides: ["task.name=delay"] }).task).toEqual({ name: "delay", delay: 5 });
    expect(loadConfig({ overrides: ["task.name=adding"] }).task).toEqual({ name: "adding" });
    expect(loadConfig({ overrides: ["task.name=word"] }).task).toEqual({
      name: "word",
      text: "melville-moby_dick",
      tokenizer: "words",
      vocabulary: 10_000,
    });
  });

  test("of the schedule by epochs, and of no other", () => {
    expect(loadConfig({ overrides: ["train.schedule=epochDecay"] }).train).toMatchObject({
      decayAfterEpoch: 4,
      decayFactor: 0.5,
    });
    expect(loadConfig().train).not.toHaveProperty("decayFactor");
  });

  test("a parsed configuration parses to itself, through JSON too", () => {
    for (const overrides of [[], ["task.name=delay", "train.maxEpochs=2", "train.weightDecay=0.1"]]) {
      const config = loadConfig({ overrides });
      expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
    }
  });
});

describe("sources", () => {
  test("a text file becomes the task's text; YAML and JSON are configurations", () => {
    expect(loadConfig({ file: "some/my.txt" }).task).toEqual({ name: "character", text: "some/my.txt" });
    const yaml = file("a.yaml", "model:\n  hiddenSize: 64 # small\ntrain: { learningRate: 1e-3 }\npolicy: dense\n");
    expect(loadConfig({ file: yaml })).toMatchObject({
      model: { hiddenSize: 64 },
      train: { learningRate: 1e-3 },
      policy: "dense",
    });
    expect(loadConfig({ file: file("a.json", '{"seed": 7}') }).seed).toBe(7);
    expect(loadConfig({ file: file("empty.yml", "# nothing\n") })).toEqual(loadConfig());
  });

  test("any other file is the text or the data of the task, whichever it reads; settings win", () => {
    expect(loadConfig({ file: "x.csv", overrides: ["task.name=classification"] }).task.data).toBe("x.csv");
    expect(loadConfig({ file: "x.csv", overrides: ["task.name=word"] }).task.text).toBe("x.csv");
    const yaml = file("tagging.yaml", "task: {name: tagging, data: brown}");
    expect(loadConfig({ file: yaml, data: "x.conll" }).task.data).toBe("x.conll");
    expect(loadConfig({ file: yaml, data: "x.conll", overrides: ["task.data=y"] }).task.data).toBe("y");
    expect(() => loadConfig({ file: "x.txt", overrides: ["task.name=adding"] })).toThrow(/adding reads no text/);
  });

  test("configs/ are the package's where the current folder has none", () => {
    const cwd = process.cwd();
    process.chdir(folder);
    try {
      expect(loadConfig({ file: "configs/adding.yaml" }).task.name).toBe("adding");
      expect(() => loadConfig({ file: "configs/none.yaml" })).toThrow(/no configuration file configs\/none.yaml/);
      expect(() => loadConfig({ file: "configs/../package.json" })).toThrow(/no configuration file/);
    } finally {
      process.chdir(cwd);
    }
  });

  test("overrides win over the file, key by key", () => {
    const yaml = file("b.yaml", "model: { hiddenSize: 64, numLayers: 3 }\npolicy: dense\n");
    const config = loadConfig({
      file: yaml,
      overrides: ["model.hiddenSize=32", "policy=threshold:1e-6", "policy=density:.1"],
    });
    expect(config.model).toMatchObject({ hiddenSize: 32, numLayers: 3 });
    expect(config.policy).toBe("density:0.1");
  });

  test("policies of single sites, from the file and beside it, in canonical form", () => {
    const yaml = file("d.yaml", "policies:\n  lstm.l0: density:.1\n  lstm.l1: dense\n");
    const config = loadConfig({ file: yaml, overrides: ["policies.lstm.l1=topk:unified", "policy=every(2)+energy"] });
    expect(config.policies).toEqual({ "lstm.l0": "density:0.1", "lstm.l1": "topk:0.1,unified" });
    expect(policyText(config)).toBe("every(2)+energy:0.99 (lstm.l0 density:0.1, lstm.l1 topk:0.1,unified)");
    expect(policyText(loadConfig())).toBe("stochastic:0.98");
    expect(parseConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test("of maxSteps and maxEpochs the later source's counts; both in one are refused", () => {
    const yaml = file("c.yaml", "train: { maxEpochs: 3 }\n");
    expect(loadConfig({ file: yaml }).train).toMatchObject({ maxEpochs: 3 });
    expect(loadConfig({ file: yaml }).train.maxSteps).toBeUndefined();
    const overridden = loadConfig({ file: yaml, overrides: ["train.maxSteps=10"] }).train;
    expect([overridden.maxSteps, overridden.maxEpochs]).toEqual([10, undefined]);
    expect(messageOf("train.maxSteps=10", "train.maxEpochs=1")).toMatch(/both given; give one/);
  });

  test("a text's name is never read as YAML", () => {
    for (const name of ["2024", "null", "a: b.txt", "x=y.txt"])
      expect(loadConfig({ overrides: [`task.text=${name}`] }).task.text).toBe(name);
  });
});

describe("the files in configs/", () => {
  const configs = fileURLToPath(new URL("../../configs/", import.meta.url));

  const names = readdirSync(configs).filter((name) => name.endsWith(".yaml")); // grids are in a folder of their own
  test.each(names)("%s is valid", (name) => {
    const { maxSteps, maxEpochs } = loadConfig({ file: join(configs, name) }).train;
    expect(maxSteps ?? maxEpochs).toBeGreaterThan(0);
  });

  test.each(TASKS)("task %s has a ready one", (name) => {
    const file = tasks[name].config;
    expect(names).toContain(file.replace("configs/", ""));
    expect(loadConfig({ file: join(configs, "..", file) }).task.name).toBe(name);
  });

  test("default.yaml says what the defaults are", () => {
    expect(loadConfig({ file: join(configs, "default.yaml") })).toEqual(loadConfig());
  });
});

test("a word model drops more in its gates, and where gates are dropped in its head too", () => {
  const head = (...overrides: string[]) => loadConfig({ overrides }).headPolicy;
  expect(loadConfig().policy).toBe("stochastic:0.98");
  expect(loadConfig({ overrides: ["task.name=word"] }).policy).toBe("stochastic:0.9");
  expect(loadConfig({ overrides: ["task.name=word", "policy=stochastic:0.98"] }).policy).toBe("stochastic:0.98");
  expect(head()).toBe("dense");
  expect(head("task.name=word")).toBe("stochastic:0.999");
  expect(head("task.name=word", "policy=dense")).toBe("dense");
  expect(head("task.name=word", "headPolicy=dense")).toBe("dense");
  expect(head("task.name=word", "policy=dense", "headPolicy=density:0.3")).toBe("density:0.3");
});

describe("errors", () => {
  test.each([
    [["train.learningRate=abc"], 'train.learningRate: got "abc", expected a number above 0.'],
    [["train.learningRate=NaN"], 'train.learningRate: got "NaN", expected a number above 0.'],
    [["train.learningRate=.nan"], "train.learningRate: got NaN, expected a number above 0."],
    [["train.learningRate=.inf"], "train.learningRate: got Infinity, expected a number above 0."],
    [["train.learningRate=-1"], "train.learningRate: got -1, expected a number above 0."],
    [["train.learningRate="], 'train.learningRate: got "", expected a number above 0.'],
    [["model.hiddenSize=1.5"], "model.hiddenSize: got 1.5, expected a whole number of at least 1."],
    [["model.dropout=1"], "model.dropout: got 1, expected a number from 0 up to, not including, 1."],
    [["threads=0"], "threads: got 0, expected a whole number of at least 1."],
    [["seed=-1"], "seed: got -1, expected a whole number of at least 0."],
    [["train.batchSize=[1]"], 'train.batchSize: got "[1]", expected a whole number of at least 1.'],
    [["train=5"], "train: got 5, expected keys such as train.batchSize and train.sequenceLength."],
    [["model.cell=lsmt"], 'model.cell: got "lsmt", expected one of lstm, gru, rnn, mingru. Did you mean "lstm"?'],
    [
      ["task.name=charcter"],
      'task.name: got "charcter", expected one of character, word, classification, forecasting, tagging, translation, captioning, adding, delay, copy. Did you mean "character"?',
    ],
    [
      ["task.name=adding", "task.text=a.txt"],
      "task.text: task adding reads no text; leave it out, or use task.name=character.",
    ],
    [["task.delay=3"], "task.delay: task character has no delay; leave it out, or use task.name=delay."],
    [
      ["task.vocabulary=9"],
      "task.vocabulary: task character has no vocabulary; leave it out, or use task.name=word, classification, tagging, translation or captioning.",
    ],
    [
      ["task.name=word", "task.validText=v.txt"],
      "task.validText and task.testText go together: give both, or neither and task.text is split 90/5/5.",
    ],
    [["model.initScale=0"], "model.initScale: got 0, expected a number above 0."],
    [
      ["task.name=translation", "task.data=a.tsv", "task.languages=en-es"],
      "task.languages: only verses has languages to choose from; leave it out for a.tsv.",
    ],
    [
      ["task.name=translation", "task.data=a", "task.targetData=b", "task.validData=c", "task.testData=d"],
      "task.validTargetData and task.testTargetData belong to task.validData and task.testData, beside task.targetData: give a file of targets for each of sources, or none where a file holds both.",
    ],
    [
      ["task.name=translation", "task.tokenizerFile=t.json", "task.vocabulary=9"],
      "task.vocabulary is for one to be learnt and task.tokenizerFile has its own; give one of them.",
    ],
    [["model.attention=luong"], 'model.attention: got "luong", expected one of none, dot, general.'],
    [["train.maxSteps"], '"train.maxSteps" is no setting; write key=value, for example train.maxSteps=100.'],
  ])("%j", (overrides, message) => expect(messageOf(...overrides)).toBe(message));

  test("an unknown key is named, with the nearest one and the valid ones", () => {
    expect(messageOf("train.learningrate=1")).toMatch(
      /^unknown key "train\.learningrate", did you mean "train\.learningRate"\? The keys of train are: train\.batchSize, /,
    );
    expect(messageOf("learningRate=1")).toContain(
      'did you mean "train.learningRate"? The keys are: task, model, train, policy, policies, headPolicy, from, engine, threads, seed.',
    );
    expect(messageOf("polcy=dense")).toContain('did you mean "policy"?');
    expect(messageOf("train.hiddenSize=3")).toContain('did you mean "model.hiddenSize"?');
    expect(messageOf("xyzzy.quux=1")).toMatch(/^unknown key "xyzzy"\. The keys are: task, /);
    expect(messageOf("__proto__.name=1")).toMatch(/^unknown key "__proto__"/);
    expect(messageOf("train.__proto__=1")).toMatch(/^unknown key "train.__proto__"/);
    expect(({} as { name?: number }).name).toBeUndefined();
  });

  test("an unknown policy lists the choices", () => {
    expect(messageOf("policy=enrgy:0.9")).toContain('did you mean "energy"?');
    expect(messageOf("policies.lstm.l0=enrgy:0.9")).toContain('did you mean "energy"?');
  });

  test("policies of single sites: by name of the site, a policy each", () => {
    expect(messageOf("policies=dense")).toBe(
      'policies: got "dense", expected policies by site, such as { lstm.l0: dense }.',
    );
    expect(messageOf("policies.lstm.l0=3")).toBe(
      'policies.lstm.l0: got 3, expected a policy such as "stochastic:0.98".',
    );
    expect(messageOf("policies.head=dense")).toBe(
      "policies.head: the output layer's policy is headPolicy; write headPolicy=dense.",
    );
  });

  test("a missing or broken configuration file", () => {
    expect(() => loadConfig({ file: join(folder, "no.yaml") })).toThrow(/no configuration file .*no\.yaml/);
    expect(() => loadConfig({ file: file("bad.yaml", "a: [1\nb: {") })).toThrow(UsageError);
    expect(() => loadConfig({ file: file("twice.yaml", "seed: 1\nseed: 2\n") })).toThrow(
      /twice\.yaml: [^\n]*unique[^\n]*$/,
    );
    expect(() => loadConfig({ file: file("list.json", "[1]") })).toThrow(/expected keys and values/);
  });
});
