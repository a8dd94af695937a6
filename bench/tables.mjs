/**
 * `npm run bench -- tables`: makes every page of docs/results/ that holds times anew. A page is a
 * command of its own, so that one can be made alone: `--only native,late`.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("main.mjs", import.meta.url));

/** name: [what it says, the command]. In this order; all together take about an hour and want an idle machine. */
export const TABLES = {
  w1: ["W1 on wasm beside all peers", ["report", "--workload", "W1", "--peers", "all"]],
  native: ["every workload on native, threads and instruction sets", ["native", "--steps", "9"]],
  memory: ["memory by purpose; what recompute saves and costs", ["memory", "--steps", "9"]],
  peak: ["peak memory beside PyTorch's", ["peak"]],
  dropout: ["structured dropout beside ordinary", ["dropout", "--late", "--steps", "9"]],
  "dropout-wasm": ["the same on wasm", ["dropout", "--engine", "wasm", "--steps", "7"]],
  columns: ["rules that choose, in kernels and by their definition", ["columns"]],
  small: ["nets of few units", ["small"]],
  late: ["patterns late in training, the default policy", ["late", "--steps", "15"]],
  "kernels-native": [
    "single products on native",
    ["kernels", "--engine", "native", "--isa", "avx512,avx2", "--name", "bench-kernels-native"],
  ],
  "kernels-wasm": ["single products on wasm", ["kernels", "--engine", "wasm", "--name", "bench-kernels-wasm"]],
  race: ["time to the same loss, with PyTorch", ["race"]],
  engines: ["the same training on every engine", ["engines"]],
  "pytorch-layer": ["gatesieve.LSTM and GRU in a loop of PyTorch; trains its nets first, once", ["pytorch-layer"]],
  "tfjs-layer": ["recurrent layers in fit() of TensorFlow.js", ["tfjs-layer"]],
};

/** Runs each table's command; the first that fails ends it. True if all succeeded. */
export function makeTables(names, note) {
  for (const name of names) {
    const [what, args] = TABLES[name];
    note(`${name}: ${what} (npm run bench -- ${args.join(" ")})`);
    const { status } = spawnSync(process.execPath, [main, ...args], { stdio: "inherit" });
    if (status !== 0) return false;
  }
  return true;
}
