/**
 * The table of policies, and how a text becomes one. A new policy is one file in policies/ and one line here.
 */
import { UsageError } from "../core/check.ts";
import { type Combinator, combinators } from "./combinators.ts";
import { type PolicyText, parseText, printText } from "./grammar.ts";
import { auto } from "./policies/auto.ts";
import { block } from "./policies/block.ts";
import { columns } from "./policies/columns.ts";
import { dense } from "./policies/dense.ts";
import { density } from "./policies/density.ts";
import { energy } from "./policies/energy.ts";
import { memory } from "./policies/memory.ts";
import { random } from "./policies/random.ts";
import { relative } from "./policies/relative.ts";
import { rows } from "./policies/rows.ts";
import { stochastic } from "./policies/stochastic.ts";
import { threshold } from "./policies/threshold.ts";
import { topk } from "./policies/topk.ts";
import type { Policy, PolicyContext, PolicyEntry, SitePolicy } from "./policy.ts";

export const policies: Readonly<Record<string, PolicyEntry>> = {
  dense,
  threshold,
  relative,
  density,
  energy,
  topk,
  block,
  columns,
  rows,
  stochastic,
  random,
  memory,
  auto,
};

export const DEFAULT_POLICY = "stochastic:0.98";

/** "energy:0.99" and its like to a policy; the grammar stands in grammar.ts. Errors name the choices. */
export function parsePolicy(text: string): Policy {
  const parsed = parseText(text, policies);
  const { paths } = parsed.options;
  return { name: printText(parsed), paths, start: (context) => startPolicy(parsed, context) };
}

function startPolicy(text: PolicyText, context: PolicyContext): SitePolicy {
  const { site, maxSteps } = context;
  const { gates, options } = text;
  for (const gate of Object.keys(gates))
    if (!site.groups.includes(gate))
      throw new UsageError(
        `policy "${printText(text)}": site ${site.name} has no gate "${gate}". Its gates are ${site.groups.join(", ")}.`,
      );
  const budgets = new Float64Array(site.groups.length);
  const setBudgets = (value: number) => {
    for (let group = 0; group < budgets.length; group++) budgets[group] = gates[site.groups[group] as string] ?? value;
  };
  setBudgets(text.argument ?? Number.NaN);
  const inner = (policies[text.name] as PolicyEntry).start({ ...context, options, budgets });
  const parts = text.combinators.map(({ name, args }) => ({ args, combinator: combinators[name] as Combinator }));
  return {
    ...inner,
    plan(step, out) {
      for (const { combinator, args } of parts)
        if (combinator.argument) setBudgets(combinator.argument(args, step, maxSteps));
      inner.plan(step, out);
      out.paths = options.paths;
      out.bias = options.bias;
      for (const { combinator, args } of parts) if (combinator.dense?.(args, step, maxSteps)) out.kind = "keep";
    },
  };
}
