// The page's side: examples out of a text area, a worker that learns them, answers as one types.
// With vite: npx vite examples/browser
const worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
const [examples, progress, text, answer, download] = ["examples", "progress", "text", "answer", "download"].map((id) =>
  document.getElementById(id),
);

const numbers = "one two three four five six seven eight nine ten eleven twelve".split(" ");
const colours = "red blue green yellow black white brown pink grey purple orange violet".split(" ");
examples.value = [
  ...numbers.map((word) => `${word} number`),
  ...numbers.map((word) => `twenty-${word} number`),
  ...colours.map((word) => `${word} colour`),
  ...colours.map((word) => `dark ${word} colour`),
].join("\n");

document.getElementById("train").onclick = () => {
  const lines = examples.value.split("\n").filter((line) => line.trim() !== "");
  const parted = lines.map((line) => /^(.*) (\S+)$/.exec(line.trim()) ?? [line, line, ""]);
  worker.postMessage({
    type: "fit",
    examples: parted.map(([, sequence, label]) => ({ sequence, label })),
    options: { epochs: 60, batchSize: 8, learningRate: 0.01 },
  });
};
document.getElementById("stop").onclick = () => worker.postMessage({ type: "stop" });
text.oninput = () => text.value && worker.postMessage({ type: "predict", sequence: text.value });

const hear = {
  step({ step, maxSteps, loss }) {
    progress.value = `step ${step} of ${maxSteps}, loss ${loss.toFixed(3)}`;
  },
  trained({ report, bytes }) {
    const { reason, steps, macs } = report;
    progress.value = `${reason === "stopped" ? "stopped" : "trained"} at step ${steps}, ${(100 * macs.macsSkippedAll).toFixed(0)} % of multiply-accumulates skipped`;
    download.href = URL.createObjectURL(new Blob([bytes]));
    download.hidden = false;
    text.oninput();
  },
  prediction({ sequence, label, probability }) {
    if (sequence === text.value) answer.value = `${label}, ${(100 * probability).toFixed(0)} %`;
  },
  error({ message }) {
    progress.value = message;
  },
};
worker.onmessage = ({ data }) => hear[data.type](data);
