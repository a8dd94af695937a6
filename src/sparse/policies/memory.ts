/**
 * memory:P is density:P with a memory: what is dropped is kept, and `decay` times it is added to the gradient in the
 * same place (time, lane, column) of the next step: memorized sparse back-propagation (Zhang et al., arXiv
 * 1905.10194), error feedback at the gate gradients. The memory is as large as the site: rows x columns
 * numbers, which also go into every checkpoint.
 */
import type { PolicyEntry } from "../policy.ts";
import { density } from "./density.ts";

export const memory: PolicyEntry = {
  summary: "density:P, and what was dropped is added at the next step in the same place",
  argument: { name: "P", default: 0.1, atLeast: 0, atMost: 1, perGate: true },
  options: ["decay", "pooled"],
  start(context) {
    const { site, arena, options } = context;
    const residue = arena.tensor(`${site.name}.residue`, [site.rows, site.cols], "states");
    const policy = density.start(context);
    return {
      ...policy,
      plan(step, out) {
        policy.plan(step, out);
        out.residue = residue;
        out.decay = options.decay;
      },
      tensors: [residue],
    };
  },
};
