/**
 * The table of policies and the parser of their text form: `name` or `name:argument`.
 * A new policy is one file in policies/ and one line here.
 */
import { choose, formatNumber, UsageError } from "../core/check.ts";
import { dense } from "./policies/dense.ts";
import { density } from "./policies/density.ts";
import { energy } from "./policies/energy.ts";
import { relative } from "./policies/relative.ts";
import { stochastic } from "./policies/stochastic.ts";
import { threshold } from "./policies/threshold.ts";
import type { Policy, PolicyEntry } from "./policy.ts";

export const policies: Readonly<Record<string, PolicyEntry>> = {
  dense,
  threshold,
  relative,
  density,
  energy,
  stochastic,
};

export const DEFAULT_POLICY = "energy:0.99";

/** "energy:0.99" and its like to a policy. Errors name the choices. */
export function parsePolicy(text: string): Policy {
  const [, name = "", argumentText] = /^([^:]*)(?::(.*))?$/s.exec(text.trim()) ?? [];
  const entry = choose("policy", name, policies);
  const { argument } = entry;
  if (!argument) {
    if (argumentText === undefined) return entry.create(Number.NaN);
    throw new UsageError(`policy "${text}": ${name} takes no argument; write "${name}".`);
  }
  const value =
    argumentText === undefined ? argument.default : argumentText.trim() === "" ? Number.NaN : Number(argumentText);
  const example = `${name}:${formatNumber(argument.default ?? argument.atMost)}`;
  if (value === undefined || !(value >= argument.atLeast && value <= argument.atMost))
    throw new UsageError(
      `policy "${text}": ${argument.name} must be a number from ${argument.atLeast} to ${argument.atMost}, for example "${example}".`,
    );
  return entry.create(value);
}
