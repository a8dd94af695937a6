/**
 * auto needs no number. It drops without bias and holds the noise this adds to a share LIMIT of the
 * noise that stochastic gradient descent has anyway (in the spirit of VCAS, ICLR 2024), per site:
 *
 *   rule     stochastic: below tau a gradient becomes sign(g) tau with probability abs(g)/tau, else 0.
 *            Backward is linear in the gradients that pass it, so the whole gradient stays unbiased.
 *   tau      per gate, that of energy: below it lies a share `budget` of the squared norm
 *   noise    V = E |w(s) - w(s-1)|^2 / 2 over consecutive steps, w some entries of the gradient of one
 *            of the site's weights: the variance of a batch's gradient
 *   error    E = |w(sparse) - w(dense)|^2 of one batch, at a probe
 *   steer    r = the largest E / min(V, |w(dense)|^2) of the site's weights; log budget += (log LIMIT - log r) / 2, held to a factor of 2
 *
 * Adding a share LIMIT of its variance does to training what a batch smaller by that share would do.
 * Probes cost one dense step each: every 20 steps at first, every 250 later. The gradient of a probe's
 * step is the dense one.
 */
import type { EntryContext, PolicyEntry, SitePolicy } from "../policy.ts";
import { energyQuantile, steered } from "./steered.ts";

/** Entries of the weights' gradient that are watched. */
const SAMPLE = 512;
/** Weight of the past in the moving average of the noise. */
const NOISE_MOMENTUM = 0.8;
const FIRST_BUDGET = 0.002;
const NOTHING = new Float64Array(SAMPLE);
const LEAST_BUDGET = 1e-5;
const MOST_BUDGET = 0.2;
/** Steps between probes: a quarter of those done, within these. */
const LEAST_GAP = 20;
const MOST_GAP = 250;

export const auto: PolicyEntry = {
  summary: "unbiased, and as much as adds LIMIT of the noise of SGD itself; measured as it goes",
  argument: { name: "LIMIT", default: 0.05, atLeast: 0, atMost: 1, perGate: false },
  start: steeredByNoise,
};

function steeredByNoise(context: EntryContext): SitePolicy {
  const { site, budgets } = context;
  const weights = site.weights ?? 1;
  const sample = new Float64Array(SAMPLE);
  const previous = new Float64Array(SAMPLE);
  const noise = new Float64Array(weights); // V of each of the site's weights
  let steps = 0;
  let budget = FIRST_BUDGET;
  let nextProbe = LEAST_GAP;
  let measured = -1; // r of the last probe; -1: none yet
  const rounding = steered(context, "stochastic", (statistics, groups) => energyQuantile(statistics, groups, budget));

  /** Over the entries of one of the site's weights: the sample goes round them in turn. */
  const squaredDistance = (a: Float64Array, b: Float64Array, weight: number): number => {
    let sum = 0;
    for (let i = weight; i < SAMPLE; i += weights) {
      const difference = (a[i] as number) - (b[i] as number);
      sum += difference * difference;
    }
    return sum;
  };

  return {
    ...rounding,

    watch: {
      sample,

      learn() {
        for (let weight = 0; weight < weights && steps > 0; weight++) {
          const now = squaredDistance(sample, previous, weight) / 2;
          noise[weight] = steps > 1 ? NOISE_MOMENTUM * (noise[weight] as number) + (1 - NOISE_MOMENTUM) * now : now;
        }
        previous.set(sample);
        steps++;
      },

      probes: (step) => step >= nextProbe,

      compare(step, dense) {
        nextProbe = step + Math.min(MOST_GAP, Math.max(LEAST_GAP, step >> 2));
        let ratio = 0;
        for (let weight = 0; weight < weights; weight++) {
          const least = Math.min(noise[weight] as number, squaredDistance(dense, NOTHING, weight));
          if (least > 0) ratio = Math.max(ratio, squaredDistance(sample, dense, weight) / least);
        }
        if (!(ratio > 0 && ratio < Number.POSITIVE_INFINITY)) return;
        measured = ratio;
        const factor = Math.min(2, Math.max(0.5, Math.sqrt((budgets[0] as number) / ratio)));
        budget = Math.min(MOST_BUDGET, Math.max(LEAST_BUDGET, budget * factor));
      },
    },

    explain() {
      if (measured < 0) return "nothing measured yet";
      const percent = (share: number) => `${(100 * share).toPrecision(2)} %`;
      return (
        `dropping adds ${percent(measured)} of a batch's own noise (limit ${percent(budgets[0] as number)}); ` +
        `tau where ${percent(budget)} of each gate's energy lies below it`
      );
    },

    save: () => [steps, budget, nextProbe, measured, ...rounding.save(), ...previous, ...noise],

    load(state) {
      [steps, budget, nextProbe, measured] = state as [number, number, number, number];
      const rest = state.slice(4);
      noise.set(rest.splice(-weights));
      previous.set(rest.splice(-SAMPLE));
      rounding.load(rest);
    },
  };
}
