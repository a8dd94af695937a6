/** The key of a rule's draws: of the run's seed, the site and the step, and so the same under every engine. */
import { streamKey } from "../../core/random.ts";
import type { PolicyContext } from "../policy.ts";

export function drawn({ seed, site }: PolicyContext, step: number): number {
  return streamKey(seed, `policy.${site.name}`, step);
}
