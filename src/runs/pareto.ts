/** The Pareto front: of several things with two figures each, those that no other beats in both. */

export interface Candidate {
  readonly x: number;
  readonly y: number;
}

/**
 * Indices of the front in order of x. Lower y is better, and of x what `better` says. One that equals
 * another in both figures is not beaten by it; figures that are not finite are never on the front.
 */
export function paretoFront(candidates: readonly Candidate[], better: "higher" | "lower"): number[] {
  const sign = better === "lower" ? 1 : -1;
  const finite = candidates
    .map(({ x, y }, index) => ({ cost: sign * x, y, index }))
    .filter(({ cost, y }) => Number.isFinite(cost) && Number.isFinite(y))
    .sort((a, b) => a.cost - b.cost || a.y - b.y || a.index - b.index);
  const front: typeof finite = [];
  for (const candidate of finite) {
    const last = front.at(-1);
    if (!last || candidate.y < last.y || (candidate.y === last.y && candidate.cost === last.cost))
      front.push(candidate);
  }
  const indices = front.map(({ index }) => index);
  return better === "lower" ? indices : indices.reverse();
}
