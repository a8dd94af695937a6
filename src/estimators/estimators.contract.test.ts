/** What every estimator promises, whatever goes in and comes out. */
import { describe, expect, test, vi } from "vitest";
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import type { StepEvent } from "../train/events.ts";
import { classifier } from "./classifier.ts";
import { forecaster } from "./forecaster.ts";
import { languageModel } from "./language-model.ts";
import { loadModel } from "./load.ts";
import { gru, lstm } from "./nets.ts";
import type { FitOptions } from "./options.ts";
import { tagger } from "./tagger.ts";
import type { TrainedModel } from "./trained.ts";

const random = new RandomStream(1, "data");
const sequences = Array.from({ length: 120 }, (_, i) =>
  Array.from({ length: 2 + random.below(9) }, () => [random.normal() + (i % 3), random.normal()]),
);
const labels = sequences.map((_, i) => i % 3);
const series = Array.from({ length: 240 }, (_, i) => 20 + 5 * Math.sin(i / 3) + random.normal() / 4);
const text = Array.from({ length: 400 }, (_, i) => `${i % 12} and ${i % 7} are ${(i % 12) + (i % 7)}.\n`).join("");
const sentences = Array.from({ length: 90 }, (_, i) =>
  `the ${i % 2 ? "cat" : "dog"} ${i % 3 ? "runs" : "eats"}`.split(" "),
);
const tags = sentences.map(() => ["DET", "NOUN", "VERB"] as const);

type Options = FitOptions<TrainedModel>;
const SMALL = { hiddenSize: 12, dropout: 0.1 };
const kinds: Record<
  string,
  { fit(options: Options): Promise<TrainedModel>; data: unknown; say(model: TrainedModel): unknown }
> = {
  classifier: {
    fit: (options) => classifier(lstm(SMALL)).fit({ sequences, labels }, options as object),
    data: { sequences, labels },
    say: (model) => (model as Awaited<ReturnType<typeof fitted.classifier>>).predictAll(sequences.slice(0, 50)),
  },
  forecaster: {
    fit: (options) => forecaster(gru(SMALL)).fit(series, { horizon: 3, ...(options as object) }),
    data: series,
    say: (model) => (model as Awaited<ReturnType<typeof fitted.forecaster>>).predict(),
  },
  languageModel: {
    fit: (options) => languageModel(lstm(SMALL)).fit(text, options as object),
    data: text,
    say: (model) => (model as Awaited<ReturnType<typeof fitted.languageModel>>).generate({ length: 40 }),
  },
  tagger: {
    fit: (options) => tagger(gru({ ...SMALL, bidirectional: true })).fit({ sentences, tags }, options as object),
    data: { sentences, tags },
    say: (model) => (model as Awaited<ReturnType<typeof fitted.tagger>>).predictAll(sentences.slice(0, 9)),
  },
};
// For their types alone.
const fitted = {
  classifier: () => classifier(lstm()).fit({ sequences, labels }),
  forecaster: () => forecaster(lstm()).fit(series),
  languageModel: () => languageModel(lstm()).fit(text),
  tagger: () => tagger(lstm()).fit({ sentences, tags }),
};

const STEPS = { maxSteps: 24, logEverySteps: 3, valCheckInterval: 6, engine: "wasm" } as const;

/** An aborted signal after the step event of this step. */
function stopAt(step: number): Options {
  const control = new AbortController();
  return { ...STEPS, signal: control.signal, onStep: (event: StepEvent) => event.step === step && control.abort() };
}

describe.each(Object.entries(kinds))("%s", (kind, { fit, data, say }) => {
  const whole = fit(STEPS);

  test("learns, and reports how", async () => {
    const { report } = await whole;
    expect(report).toMatchObject({ reason: "maxSteps", steps: 24, engine: "wasm (simd128)", notes: [] });
    expect(report.policy).toBe("stochastic:0.98");
    expect(report.losses.map(({ step }) => step)).toEqual([3, 6, 9, 12, 15, 18, 21, 24]);
    expect(report.validations.map(({ step }) => step)).toEqual([6, 12, 18, 24]);
    expect(report.validLoss).toBe(Math.min(...report.validations.map(({ loss }) => loss)));
    expect(report.losses.at(-1)?.loss).toBeLessThan(report.losses[0]!.loss);
    expect(report.sparsity.dropped).toBeGreaterThan(0.01);
    expect(report.macs.macsSkippedAll).toBeGreaterThan(0.01);
    expect(report.seconds).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test("the same seed gives the same bits, another one others", async () => {
    const bytes = async (options: Options) => (await weightsOf(await fit(options))).join();
    const first = await weightsOf(await whole);
    expect(await bytes(STEPS)).toBe(first.join());
    expect(await bytes({ ...STEPS, seed: 2 })).not.toBe(first.join());
  });

  test("saved and loaded, it says the same, bit for bit", async () => {
    const model = await whole;
    const loaded = await loadModel(model.save(), { engine: "wasm" });
    expect(say(loaded)).toEqual(say(model));
    expect(loaded.report).toEqual(model.report);
    expect(loaded.constructor).toBe(model.constructor);
    expect([...readSafetensors(model.save(), "file").tensors.keys()]).toContain("head.weight");
    expect(() => loaded.save({ training: true })).toThrow(UsageError);
    await expect(loaded.resume()).rejects.toThrow(/is at its end/);
  });

  test("stopped by a signal it is usable; resumed, even from bytes, it ends as if it had never stopped", async () => {
    const model = await whole;
    const stopped = await fit(stopAt(9));
    expect(stopped.report).toMatchObject({ reason: "stopped", steps: 9, validLoss: expect.any(Number) });
    expect(say(stopped)).toBeTruthy();
    const bytes = stopped.save({ training: true });
    const resumed = await stopped.resume();
    const later = await loadModel<TrainedModel>(bytes, { engine: "wasm", data });
    await later.resume();
    for (const each of [resumed, later]) {
      expect(await weightsOf(each)).toEqual(await weightsOf(model));
      expect(withoutTimes(each.report)).toEqual(withoutTimes(model.report));
      expect(say(each)).toEqual(say(model));
    }
  });

  test("a training is saved whole after each validation, and refused in between", async () => {
    const kept: Uint8Array[] = [];
    let refused: unknown;
    await fit({
      ...STEPS,
      onStep({ step }, model) {
        if (step !== 6) return;
        try {
          model.save({ training: true });
        } catch (error) {
          refused = error;
        }
      },
      onValidation({ step }, model) {
        if (step === 12) kept.push(model.save({ training: true }));
      },
    });
    expect(String(refused)).toMatch(/in onValidation instead/);
    const later = await loadModel<TrainedModel>(kept[0] as Uint8Array, { engine: "wasm", data });
    expect(await weightsOf(await later.resume())).toEqual(await weightsOf(await whole));
  });

  test("other data is refused on a resume", async () => {
    const bytes = (await fit(stopAt(3))).save({ training: true });
    const other = kinds[kind === "tagger" ? "classifier" : "tagger"]!.data;
    await expect(loadModel(bytes, { data: other })).rejects.toThrow(UsageError);
    const fewer = Array.isArray(data) ? data.slice(1) : typeof data === "string" ? data.slice(1) : undefined;
    if (fewer) await expect(loadModel(bytes, { data: fewer })).rejects.toThrow(/not that of the saved training/);
  });

  test("a signal that is aborted already trains nothing", async () => {
    await expect(fit({ ...STEPS, signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  });

  test("what a listener throws ends the training and comes through", async () => {
    const onStep = () => Promise.reject(new Error("from outside"));
    await expect(fit({ ...STEPS, onStep })).rejects.toThrow("from outside");
  });

  test.each([
    [{ epoch: 3 }, 'fit: unknown option "epoch", did you mean "epochs"?'],
    [{ epochs: 0 }, "epochs is 0; give a number above 0."],
    [{ epochs: 2, maxSteps: 3 }, "epochs 2 and maxSteps 3 are both given; give one of them."],
    [{ batchSize: 1.5 }, "batchSize is 1.5; give a whole number of at least 1."],
    [{ validationSplit: 0.7 }, "validationSplit is 0.7; give a share from 0 to 0.5."],
    [{ policy: "dens" }, 'unknown policy "dens"'],
    [{ learningRate: -1 }, "learningRate is -1"],
    [{ engine: "gpu" }, 'unknown engine "gpu"'],
    [{ schedule: "fast" }, 'schedule is "fast"; use one of: constant, linear'],
  ])("%o: a line that says what to do", async (options, message) => {
    const error = await fit(options as Options).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toContain(message);
    expect(error.message).not.toMatch(/\btrain\.|\bmodel\.[a-z]/);
  });

  test("without a part to validate on, the last weights stay", async () => {
    const { report } = await fit({ ...STEPS, validationSplit: 0 });
    expect(report).toMatchObject({ validations: [], validLoss: null, reason: "maxSteps" });
  });
});

test("an early stop gives the best weights back", async () => {
  const noise = sequences.map((_, i) => random.below(3) + (i % 2 ? 0 : 0)); // nothing to learn
  const options = { ...STEPS, maxSteps: 400, patience: 2, learningRate: 0.02 };
  const model = await classifier(lstm(SMALL)).fit({ sequences, labels: noise }, options);
  const losses = model.report.validations.map(({ loss }) => loss);
  expect(model.report.reason).toBe("earlyStop");
  expect(model.report.steps).toBeLessThan(400);
  expect(losses.at(-1)).toBeGreaterThan(Math.min(...losses));
  expect(model.report.validLoss).toBe(Math.min(...losses));
});

test("an event loop gets a turn after every slice of work, in training and in validation", async () => {
  const turns = async (sliceMs: number) => {
    const waits = vi.spyOn(globalThis, "setTimeout");
    const { report } = await classifier(gru(SMALL)).fit({ sequences, labels }, { ...STEPS, batchSize: 4, sliceMs });
    const count = waits.mock.calls.filter(([, ms]) => ms === 0).length;
    waits.mockRestore();
    return { count, ticks: report.steps + report.validations.length * 3 }; // 12 examples validate, 4 at a time
  };
  const often = await turns(0);
  expect(often.ticks).toBe(24 + 4 * 3);
  expect(often.count).toBeGreaterThan(0.9 * often.ticks);
  expect((await turns(1e6)).count).toBe(0);
});

test("a model is not trained twice at once", async () => {
  const said = new Set<string>();
  const onStep = async (_: StepEvent, model: TrainedModel) => {
    said.add(await model.resume().catch(({ message }) => message));
  };
  await classifier(gru(SMALL)).fit({ sequences, labels }, { ...STEPS, onStep });
  expect([...said]).toEqual(["this model is in training already; wait for its end."]);
});

test("bytes that are no saved model are refused", async () => {
  const { parameters } = (await kinds.classifier!.fit(STEPS)).model;
  expect(parameters.length).toBeGreaterThan(3);
  await expect(loadModel("m.safetensors" as never)).rejects.toThrow(/got "m.safetensors", expected the bytes/);
  await expect(loadModel(new Uint8Array(9))).rejects.toThrow(/the saved model/);
  const { modelFile } = await import("../formats/weights.ts");
  const weights = modelFile((await kinds.classifier!.fit(STEPS)).model);
  await expect(loadModel(weights)).rejects.toThrow(/no model that save\(\) wrote/);
});

/** Of all parameters, through a file. */
async function weightsOf(model: TrainedModel): Promise<string[]> {
  const { tensors } = readSafetensors(model.save(), "file");
  return [...tensors].map(([name, { bytes }]) => `${name}:${Buffer.from(bytes).toString("base64")}`);
}

function withoutTimes(report: TrainedModel["report"]) {
  return { ...report, seconds: 0 };
}
