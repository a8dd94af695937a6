/** What a run says and records where a net is too small for sparse work to pay: docs/kernels.md, "Small nets". */
import type { EngineName } from "../kernels/kernels.ts";
import type { DropSite } from "../nn/module.ts";

/** Whether products read what a rule left by its lists, or dense, since the engine finds all gates too narrow for lists. */
export type SparseExecution = "on" | "off, too small";

/**
 * Units of a layer from which a step that drops nine tenths of its gate gradients takes less time than one without any
 * rule: policy, sweep and lists then cost less than the products they spare. Engine js skips what it can and is slow.
 */
const PAYS_FROM: Readonly<Record<EngineName, number>> = { js: 0, wasm: 32, native: 48 };

export function sparseExecution(sites: readonly DropSite[]): SparseExecution {
  return sites.length > 0 && sites.every(({ pattern }) => pattern.small) ? "off, too small" : "on";
}

/** A line for whoever drops in a net too small to gain by it, or none. `drops`: some policy at these sites may. */
export function smallNotes(sites: readonly DropSite[], engine: EngineName, drops: boolean): string[] {
  const gates = sites.filter(({ site }) => site.groups.length > 1);
  const widest = Math.max(0, ...gates.map(({ site }) => site.cols / site.groups.length));
  if (!drops || gates.length < sites.length || widest === 0 || widest >= PAYS_FROM[engine]) return [];
  const dense = sparseExecution(sites) === "on" ? "" : "; products run dense";
  return [`${widest} units: dropping saves time from about ${PAYS_FROM[engine]} on (engine ${engine})${dense}`];
}
