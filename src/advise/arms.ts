/**
 * Policies that take turns in one training. A trainer's policies are fixed before its memory is allocated; these
 * stand in for all of them, and play the arm that is on.
 */
import { check } from "../core/check.ts";
import { parsePolicy } from "../sparse/policies.ts";
import type { GradientWatch, Policy, PolicyContext, SitePolicy } from "../sparse/policy.ts";

/** What one arm does where. */
export interface Arm {
  readonly policy: string;
  /** In its place at single sites. */
  readonly policies?: Readonly<Record<string, string>>;
  /** For the head's site; the same in all arms or in none ("dense"). */
  readonly headPolicy: string;
}

/** No arm: nothing is dropped. */
export const DENSE = -1;

export class Arms {
  readonly policy: Policy;
  readonly headPolicy: Policy | undefined;
  #on = DENSE;
  readonly #restarts: (() => void)[] = [];

  constructor(arms: readonly Arm[]) {
    for (const { policy } of arms)
      check(
        (parsePolicy(policy).paths ?? "both") === "both",
        `policy "${policy}" drops on one path alone, for which a model is built otherwise; compare it with gatesieve sweep.`,
      );
    this.policy = this.#turns(arms, ({ policy, policies }, site) => policies?.[site] ?? policy);
    const head = arms.some(({ headPolicy }) => headPolicy !== "dense");
    this.headPolicy = head ? this.#turns(arms, ({ headPolicy }) => headPolicy) : undefined;
  }

  /** The arm that plays from now on, its policies as they were at the start. */
  use(arm: number): void {
    this.#on = arm;
    for (const restart of this.#restarts) restart();
  }

  #turns(arms: readonly Arm[], policyOf: (arm: Arm, site: string) => string): Policy {
    const start = (context: PolicyContext): SitePolicy => {
      const own = arms.map((arm) => {
        const policy = parsePolicy(policyOf(arm, context.site.name)).start(context);
        check(
          !policy.tensors?.length,
          `policy "${arm.policy}" keeps a number for every gate gradient; compare it with gatesieve sweep.`,
        );
        return policy;
      });
      const fresh = own.map((policy) => policy.save());
      this.#restarts.push(() => {
        for (const [index, policy] of own.entries()) policy.load(fresh[index] as number[]);
      });
      const on = () => own[this.#on];
      return {
        plan(step, out) {
          out.kind = "keep";
          on()?.plan(step, out);
        },
        learn: (statistics) => on()?.learn(statistics),
        ...watchOf(own, on),
        save: () => [],
        load() {},
      };
    };
    return { name: arms.map((arm) => arm.policy).join("; "), start };
  }
}

/** Shows the gradient's entries to the arm that is on, if it wants them. */
function watchOf(own: readonly SitePolicy[], on: () => SitePolicy | undefined): { watch?: GradientWatch } {
  const length = Math.max(0, ...own.map(({ watch }) => watch?.sample.length ?? 0));
  if (length === 0) return {};
  const sample = new Float64Array(length);
  const shown = (): GradientWatch | undefined => {
    const watch = on()?.watch;
    watch?.sample.set(sample.subarray(0, watch.sample.length));
    return watch;
  };
  return {
    watch: {
      sample,
      learn: () => shown()?.learn(),
      probes: (step) => on()?.watch?.probes(step) ?? false,
      compare: (step, dense) => shown()?.compare(step, dense),
    },
  };
}
