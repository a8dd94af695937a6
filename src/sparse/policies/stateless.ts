/** What policies share whose rule depends on the step alone. */
import type { SitePolicy } from "../policy.ts";

export function stateless(plan: SitePolicy["plan"]): SitePolicy {
  return { plan, learn() {}, save: () => [], load() {} };
}
