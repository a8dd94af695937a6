/** The table of machines; the first is what the others are compared with. */
import { choose } from "../core/check.ts";
import type { Machine } from "./machine.ts";
import { cpu } from "./machines/cpu.ts";
import { lanes } from "./machines/lanes.ts";
import { sieve } from "./machines/sieve.ts";
import { structured } from "./machines/structured.ts";
import { systolicOs } from "./machines/systolic-os.ts";
import { systolicOsGated } from "./machines/systolic-os-gated.ts";
import { systolicWs } from "./machines/systolic-ws.ts";
import { systolicWsGated } from "./machines/systolic-ws-gated.ts";
import { tensordash } from "./machines/tensordash.ts";

const ALL = [
  systolicWs,
  systolicWsGated,
  systolicOs,
  systolicOsGated,
  structured,
  tensordash,
  lanes,
  sieve,
  cpu,
] as const;

export const MACHINES: Readonly<Record<string, Machine>> = Object.fromEntries(
  ALL.map((machine) => [machine.name, machine]),
);

/** The dense machine that speed-ups and energies are relative to. */
export const BASELINE: Machine = systolicWs;

/** Throws a `UsageError` with the choices for a name that is in no table. */
export function machineOf(name: string): Machine {
  return choose("machine", name, MACHINES);
}
