/** Options of policies: `key=value` behind the argument; a flag stands by its name alone. */
import type { Bias, Paths } from "./rule.ts";

export interface PolicyOptions {
  readonly pooled: boolean;
  readonly unified: boolean;
  readonly unbiased: boolean;
  readonly size: number;
  readonly decay: number;
  readonly paths: Paths;
  readonly bias: Bias;
}

export type OptionSpec = { readonly summary: string } & (
  | { readonly kind: "flag"; readonly default: false }
  | {
      readonly kind: "number";
      readonly default: number;
      readonly atLeast: number;
      readonly atMost: number;
      readonly whole?: true;
    }
  | { readonly kind: "choice"; readonly default: string; readonly choices: readonly string[] }
);

/** In the order of canonical texts. */
export const OPTIONS = {
  pooled: { kind: "flag", default: false, summary: "one budget for all gates of a layer together, not one for each" },
  unified: { kind: "flag", default: false, summary: "the same columns for all rows of a time step" },
  unbiased: {
    kind: "flag",
    default: false,
    summary: "keep with probability in proportion to the norm, scaled by its inverse",
  },
  size: {
    kind: "number",
    default: 8,
    atLeast: 1,
    atMost: 65536,
    whole: true,
    summary: "hidden units of a block",
  },
  decay: {
    kind: "number",
    default: 0.8,
    atLeast: 0,
    atMost: 1,
    summary: "share of what was dropped that is added at the next step",
  },
  paths: {
    kind: "choice",
    default: "both",
    choices: ["both", "dh", "dW"],
    summary: "drop only on the way back (dh, dx), or only in weight gradients (dW, dU)",
  },
  bias: {
    kind: "choice",
    default: "pruned",
    choices: ["pruned", "dense"],
    summary: "bias gradients from what is left, or from all",
  },
} as const satisfies { readonly [K in keyof PolicyOptions]: OptionSpec };

/** Where a rule applies: any policy that drops understands these. */
export const EVERYWHERE: readonly (keyof PolicyOptions)[] = ["paths", "bias"];

export function defaultOptions(): PolicyOptions {
  return Object.fromEntries(Object.entries(OPTIONS).map(([key, spec]) => [key, spec.default])) as never;
}
