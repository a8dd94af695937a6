/**
 * stochastic:RHO takes the tau of energy:RHO; below it, a gradient becomes sign(g) tau with
 * probability abs(g)/tau and zero otherwise: unbiased (Ye et al., ECCV 2020).
 */
import { formatNumber } from "../../core/check.ts";
import { streamKey } from "../../core/random.ts";
import type { PolicyEntry } from "../policy.ts";
import { energyQuantile, steered } from "./steered.ts";

export const stochastic: PolicyEntry = {
  summary: "unbiased: below the tau of energy:RHO, round to +-tau or zero at random",
  argument: { name: "RHO", default: 0.95, atLeast: 0, atMost: 1 },
  create: (rho) =>
    steered(
      `stochastic:${formatNumber(rho)}`,
      "stochastic",
      (statistics, group) => (rho === 1 ? 0 : energyQuantile(statistics, group, 1 - rho)),
      (seed, site, step) => streamKey(seed, `policy.${site}`, step),
    ),
};
