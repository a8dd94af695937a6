/** The page: settings in, events out. All work is in the worker; see messages.ts. */
import { policies, type StepEvent, type TrainEvent } from "../src/index.ts";
import { type Curve, drawChart } from "./chart.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

const CHART_POINTS = 300; // of one run
const RUN_COLORS = 4; // --run-0 ... in style.css; older runs leave the chart

const get = <E extends Element = HTMLElement>(id: string) => document.getElementById(id) as unknown as E;
const text = get<HTMLTextAreaElement>("text");
const policy = get<HTMLSelectElement>("policy");
const start = get<HTMLButtonElement>("start");
const stop = get<HTMLButtonElement>("stop");
const check = get<HTMLButtonElement>("fingerprint");
const file = get<HTMLInputElement>("file");
const chart = get<SVGSVGElement>("chart");
const error = get("error");

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "gatesieve" });
const tell = (message: ToWorker) => worker.postMessage(message);
const curves: Curve[] = [];
let runs = 0;
let engine = "";

worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => hear(data));
worker.addEventListener("error", ({ message }) => fail(`the worker stopped: ${message}`));

function hear(message: FromWorker): void {
  if (message.type === "engine") {
    const threads = message.threads > 1 ? `, ${message.threads} threads` : "";
    engine = `engine ${message.engine} (${message.isa}${threads})`;
    get("status").title = message.reason;
    rest(`Ready: ${engine}`);
  } else if (message.type === "started") {
    const size = message.parameters.toLocaleString("en");
    status(`Training: ${size} weights, ${message.vocabulary} characters, ${engine}`);
  } else if (message.type === "event") show(message.event);
  else if (message.type === "sample") {
    get("sample").textContent = message.text;
    get("sample").className = "written";
  } else if (message.type === "fingerprint") {
    const lines = message.runs.map((run) => `${run.policy}, ${run.engine}, loss ${run.loss}\n${run.weights}`);
    get("fingerprints").textContent = lines.join("\n");
    rest("Checked");
  } else fail(message.message);
}

function show(event: TrainEvent): void {
  const curve = curves.at(-1) as Curve;
  if (event.type === "step") {
    showStep(event);
    const before = curve.training.at(-1)?.[0] ?? 0;
    if (curve.training.length > 0 && event.step - before < event.maxSteps / CHART_POINTS) return;
    curve.training.push([event.step, event.loss]);
  } else if (event.type === "validation") {
    get("valid").textContent = event.loss.toFixed(3);
    curve.validation.push([event.step, event.loss]);
  } else if (event.type === "end") {
    const { sparsity, macs, seconds } = event;
    const valid = event.validLoss === null ? "–" : event.validLoss.toFixed(3);
    addRow(curve, [valid, percent(sparsity.dropped), percent(macs.macsSkippedAll), seconds.toFixed(1)]);
    rest(`${event.reason === "stopped" ? "Stopped" : "Finished"} at step ${event.step}`);
  }
  requestAnimationFrame(() => drawChart(chart, curves));
}

function showStep({ step, maxSteps, loss, tokensPerSecond, sparsity, macs }: StepEvent): void {
  const figures = {
    step: `${step} of ${maxSteps}`,
    loss: loss.toFixed(3),
    speed: Math.round(tokensPerSecond).toLocaleString("en"),
    dropped: percent(sparsity.dropped),
    natural: percent(sparsity.naturalZeros),
    "macs-recurrent": percent(macs.macsSkippedRecurrent),
    "macs-all": percent(macs.macsSkippedAll),
  };
  for (const [id, value] of Object.entries(figures)) get(id).textContent = value;
}

function addRow({ label, color }: Curve, values: readonly string[]): void {
  const row = document.createElement("tr");
  row.style.setProperty("--run", color);
  for (const value of [label, ...values]) row.insertCell().textContent = value;
  get("runs").append(row);
}

get<HTMLFormElement>("settings").addEventListener("submit", (event) => {
  event.preventDefault();
  const [numLayers, hiddenSize] = get<HTMLSelectElement>("model").value.split("x").map(Number) as [number, number];
  const maxSteps = get<HTMLInputElement>("steps").valueAsNumber;
  curves.push({ label: policy.value, color: `var(--run-${runs++ % RUN_COLORS})`, training: [], validation: [] });
  if (curves.length > RUN_COLORS) curves.shift();
  work("Preparing");
  stop.disabled = false;
  for (const value of document.querySelectorAll("#figures dd")) value.textContent = "–";
  tell({ type: "start", text: text.value, policy: policy.value, numLayers, hiddenSize, maxSteps });
});

stop.addEventListener("click", () => {
  stop.disabled = true;
  status("Stopping");
  tell({ type: "stop" });
});

check.addEventListener("click", () => {
  work("Checking");
  tell({ type: "fingerprint" });
});

file.addEventListener("change", async () => {
  const chosen = file.files?.[0];
  file.value = ""; // so that the same file can be chosen again
  if (!chosen) return;
  try {
    text.value = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
    error.hidden = true;
  } catch {
    fail(`${chosen.name} is not UTF-8 text; save it as UTF-8 and open it again.`);
  }
  showTextSize();
});

text.addEventListener("input", showTextSize);
policy.addEventListener("change", showPolicy);
new ResizeObserver(() => drawChart(chart, curves)).observe(chart);

function showTextSize(): void {
  get("text-size").textContent = `${text.value.length.toLocaleString("en")} characters`;
}

function showPolicy(): void {
  const name = policy.value.split(":")[0] as string;
  get("policy-help").textContent = `${name}: ${policies[name]?.summary}.`;
}

function status(words: string): void {
  get("status").textContent = words;
}

function work(words: string): void {
  start.disabled = check.disabled = true;
  error.hidden = true;
  status(words);
}

function rest(words: string): void {
  start.disabled = check.disabled = false;
  stop.disabled = true;
  status(words);
}

function fail(words: string): void {
  error.textContent = words;
  error.hidden = false;
  if (curves.at(-1)?.training.length === 0) curves.pop();
  rest("Not training");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

showPolicy();
const { default: passage } = await import("virtual:passage");
if (text.value === "") text.value = passage; // a reload may have kept what was typed
showTextSize();
