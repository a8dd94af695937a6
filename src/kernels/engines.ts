/**
 * The table of engines, and the choice among them. `auto` takes the fastest that loads here.
 * The native engine registers itself when "gatesieve/node" is imported.
 */
import { choose, UsageError } from "../core/check.ts";
import { jsEngine } from "./js.ts";
import type { Engine } from "./kernels.ts";

/** Throws where the engine does not load here, or does not run on so many threads. */
export type EngineLoader = (threads: number) => Promise<Engine>;

/** From slow to fast: `auto` tries from the end. */
const loaders: Record<string, EngineLoader> = {
  js: oneThread("js", async () => jsEngine),
  // Its module is 90 KB of text, which a process on another engine need not hold.
  wasm: async (threads) => (await import("./wasm.ts")).loadWasmEngine(threads),
};

function oneThread(name: string, load: () => Promise<Engine>): EngineLoader {
  return async (threads) => {
    if (threads === 1) return load();
    throw new UsageError(
      `engine ${name} runs on one thread, got threads=${threads}. Use threads=1, engine=wasm or engine=native.`,
    );
  };
}

export function registerEngine(name: string, load: EngineLoader): void {
  loaders[name] = load;
}

export function engineNames(): string[] {
  return Object.keys(loaders);
}

export interface EngineChoice {
  engine: Engine;
  /** Why this one: "asked for", or what `auto` found. */
  reason: string;
}

/** Loads an engine by name. The one `await` of training. */
export async function chooseEngine(name = "auto", threads = 1): Promise<EngineChoice> {
  if (name !== "auto") {
    choose("engine", name, { auto: true, ...loaders });
    return { engine: await loaders[name]!(threads), reason: "asked for" };
  }
  const failures: string[] = [];
  for (const candidate of engineNames().reverse()) {
    try {
      const engine = await loaders[candidate]!(threads);
      const passedOver = failures.length ? `; passed over ${failures.join("; ")}` : "";
      return { engine, reason: `the fastest that loads here${passedOver}` };
    } catch (error) {
      failures.push(`${candidate} (${error instanceof Error ? error.message : error})`);
    }
  }
  throw new UsageError(`no engine runs here on ${threads} thread${threads === 1 ? "" : "s"}: ${failures.join("; ")}`);
}

export async function loadEngine(name = "auto", threads = 1): Promise<Engine> {
  return (await chooseEngine(name, threads)).engine;
}
