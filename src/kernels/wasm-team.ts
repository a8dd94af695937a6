/**
 * Threads of engine `wasm`. Workers hold instances of the module on an arena's shared memory and live
 * inside its `serve` until they are sent away (assembly/team.ts has the protocol). They serve one arena
 * at a time, the one that packed its weights last; any other does its work alone, with the same bits.
 */
import { UsageError } from "../core/check.ts";
import { checkThreads } from "./by-address.ts";
import type { WasmExports } from "./wasm-exports.ts";

/** A running thread that hands every message to `serveTeam`. It must not keep the process alive. */
export interface TeamWorker {
  postMessage(message: TeamMessage): void;
}

/** Starts a thread; the promise is kept once it runs. */
export type StartTeamWorker = () => Promise<TeamWorker>;

export interface TeamMessage {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the control block. */
  readonly control: number;
  /** 1, 2, ...: the thread that gives the jobs is 0. */
  readonly number: number;
}

/** Bytes of a control block: assembly/team.ts lays it out. */
export const CONTROL_BYTES = 576 + 64 * 64 + 4096 * 8;

/** What a worker does with a message. It comes back when the arena's workers are sent away. */
export function serveTeam({ module, memory, control, number }: TeamMessage): void {
  const { serve, abandon } = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmExports;
  try {
    serve(control, number);
  } finally {
    abandon();
  }
}

/** An arena's side: where its control block is, and its instance of the module. */
export interface TeamPlace {
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  readonly call: WasmExports;
}

export class Team {
  readonly threads: number;
  readonly #module: WebAssembly.Module;
  readonly #workers: readonly TeamWorker[];
  #serves: TeamPlace | undefined;

  constructor(module: WebAssembly.Module, workers: readonly TeamWorker[]) {
    this.threads = workers.length + 1;
    this.#module = module;
    this.#workers = workers;
  }

  /** Brings the workers to a place, unless they are there. */
  serve(place: TeamPlace): void {
    if (this.#serves === place) return;
    this.#serves?.call.setLeave(1);
    this.#serves = place;
    place.call.setLeave(0);
    const { memory, control } = place;
    for (const [i, worker] of this.#workers.entries())
      worker.postMessage({ module: this.#module, memory, control, number: i + 1 });
  }
}

let startWorker: StartTeamWorker | undefined;
const teams = new Map<number, Promise<Team>>();

/** Tells how threads are started here; "gatesieve/node" does so for Node. */
export function registerTeamWorkers(start: StartTeamWorker): void {
  startWorker = start;
}

/** The team of so many threads, made once. */
export function loadTeam(module: WebAssembly.Module, threads: number): Promise<Team> {
  checkThreads("wasm", threads);
  const start = startWorker;
  if (!start)
    throw new UsageError(
      `engine wasm has no workers here, got threads=${threads}. Use threads=1, or import "gatesieve/node" on Node, or call registerTeamWorkers in a page.`,
    );
  let team = teams.get(threads);
  if (!team) {
    team = Promise.all(Array.from({ length: threads - 1 }, start)).then((workers) => new Team(module, workers));
    teams.set(threads, team);
  }
  return team;
}
