/**
 * energy:RHO keeps the smallest set of gradients that holds a share RHO of their squared norm, per
 * gate and layer. For a hard mask cosine(g, masked g) = |masked g| / |g| = sqrt(RHO): a fidelity,
 * free of scale. The statement is local: tau comes from earlier steps, and a pruned dh has already
 * changed the gradients of earlier t; the realised share is observed, and the probe speaks of dW.
 */
import type { PolicyEntry } from "../policy.ts";
import { energyQuantile, steered } from "./steered.ts";

export const energy: PolicyEntry = {
  summary: "keep the fewest gradients that hold RHO of the squared norm of each gate",
  argument: { name: "RHO", default: 0.99, atLeast: 0, atMost: 1, perGate: true },
  options: ["pooled"],
  start: (context) =>
    steered(context, "threshold", (statistics, groups, rho) => energyQuantile(statistics, groups, 1 - rho)),
};
