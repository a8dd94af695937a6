/**
 * The table of engines, and the choice among them. `auto` takes the fastest that loads here.
 * The native engine registers itself when the sub-path that holds it is imported.
 */
import { choose } from "../core/check.ts";
import { jsEngine } from "./js.ts";
import type { Engine } from "./kernels.ts";
import { loadWasmEngine } from "./wasm.ts";

type Loader = () => Promise<Engine>;

/** From slow to fast: `auto` tries from the end. */
const loaders: Record<string, Loader> = {
  js: async () => jsEngine,
  wasm: loadWasmEngine,
};

export function registerEngine(name: string, load: Loader): void {
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
export async function chooseEngine(name = "auto"): Promise<EngineChoice> {
  if (name !== "auto") {
    const load = choose("engine", name, { auto: undefined as unknown as Loader, ...loaders });
    return { engine: await load(), reason: "asked for" };
  }
  const failures: string[] = [];
  for (const candidate of engineNames().reverse()) {
    try {
      const engine = await (loaders[candidate] as Loader)();
      const passedOver = failures.length ? `; passed over ${failures.join("; ")}` : "";
      return { engine, reason: `the fastest that loads here${passedOver}` };
    } catch (error) {
      failures.push(`${candidate} (${error instanceof Error ? error.message : error})`);
    }
  }
  return { engine: jsEngine, reason: "nothing else loads here" };
}

export async function loadEngine(name = "auto"): Promise<Engine> {
  return (await chooseEngine(name)).engine;
}
