/** Threads of engine `wasm` on Node: workers that end with the process and do not keep it alive. */
import { Worker } from "node:worker_threads";
import { registerTeamWorkers, serveTeam, type TeamWorker } from "../kernels/wasm-team.ts";

/** The program is text, so that there is no file to find, in src/ or in dist/ or in a bundle. */
const PROGRAM = `require("node:worker_threads").parentPort.on("message", ${serveTeam})`;

/** A thread that runs; it was waited for, so that the first job finds it. */
export function startTeamWorker(): Promise<TeamWorker> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(PROGRAM, { eval: true, execArgv: [], name: "gatesieve" });
    worker.once("error", reject);
    worker.once("online", () => {
      worker.unref();
      resolve(worker);
    });
  });
}

registerTeamWorkers(startTeamWorker);
