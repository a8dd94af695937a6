// Trains and predicts in a worker, so that the page never waits. Messages in, messages out.
import { classifier, GatesieveError, gru } from "gatesieve";

let stop;
let model;

const tasks = {
  async fit({ examples, options }) {
    stop = new AbortController();
    model = await classifier(gru({ hiddenSize: 32 })).fit(examples, {
      ...options,
      signal: stop.signal,
      onStep: ({ step, maxSteps, loss }) => postMessage({ type: "step", step, maxSteps, loss }),
    });
    postMessage({ type: "trained", report: model.report, bytes: model.save() });
  },
  stop: () => stop?.abort(), // the model is kept as it is
  predict: ({ sequence }) => model && postMessage({ type: "prediction", sequence, ...model.predict(sequence) }),
};

addEventListener("message", async ({ data }) => {
  try {
    await tasks[data.type](data);
  } catch (error) {
    // What Gatesieve says is meant for people; anything else is a defect.
    postMessage({ type: "error", message: error instanceof GatesieveError ? error.message : `unexpected: ${error}` });
  }
});
