/**
 * stochastic:RHO takes the tau of energy:RHO; below it, a gradient becomes sign(g) tau with
 * probability abs(g)/tau and zero otherwise: unbiased (Ye et al., ECCV 2020).
 */
import type { PolicyEntry } from "../policy.ts";
import { energyQuantile, steered } from "./steered.ts";

export const stochastic: PolicyEntry = {
  summary: "unbiased: below the tau of energy:RHO, round to +-tau or zero at random",
  argument: { name: "RHO", default: 0.95, atLeast: 0, atMost: 1, perGate: true },
  options: ["pooled"],
  start: (context) =>
    steered(context, "stochastic", (statistics, groups, rho) => energyQuantile(statistics, groups, 1 - rho)),
};
