/**
 * Choosing among lines (rows, columns or elements) by their scores: the largest, or at random in proportion.
 * What comes out is a factor for each line: 0 dropped, 1 kept, 1/p kept at random with probability p.
 *
 * Lines whose score is not finite are kept beside the share, with factor 1.
 *
 * Engines have kernels for it that give the same bits: a long sum is made in LANES parts, term i in part i % LANES,
 * and the parts are added by halves, as vectors of any width up to that can do it.
 */
import { counterHash } from "../core/random.ts";

/** Scratch, so that no step allocates: it grows to the longest choice that was met, in the first step. */
export let scores = new Float64Array(0);
export let factors = new Float64Array(0);
let sorted = new Float64Array(0);

const LANES = 16;
const parts = new Float64Array(LANES);

/** Before the first `addTerm` of a sum. */
export function clearSum(): void {
  parts.fill(0);
}

/** Term i of a sum. */
export function addTerm(i: number, term: number): void {
  parts[i % LANES] = (parts[i % LANES] as number) + term;
}

export function totalSum(): number {
  for (let half = LANES / 2; half >= 1; half /= 2)
    for (let i = 0; i < half; i++) parts[i] = (parts[i] as number) + (parts[i + half] as number);
  return parts[0] as number;
}

/** Makes room for `length` lines. Callers fill `scores[0, length)` next. */
export function reserve(length: number): void {
  if (length <= scores.length) return;
  scores = new Float64Array(length);
  factors = new Float64Array(length);
  sorted = new Float64Array(length);
}

/** How many of n lines a share is: a whole number, at least one unless the share is 0. */
export function lines(share: number, n: number): number {
  return share > 0 ? Math.max(1, Math.round(share * n)) : 0;
}

/** Keeps the lines of the largest scores; of equal ones, those that come first. */
export function keepLargest(n: number, share: number): void {
  let finite = 0;
  for (let i = 0; i < n; i++) if (Number.isFinite(scores[i])) sorted[finite++] = scores[i] as number;
  let left = lines(share, n);
  const all = left >= finite;
  const smallest = all || left === 0 ? Number.POSITIVE_INFINITY : kthLargest(sorted, finite, left);
  for (let i = 0; i < n; i++) {
    const score = scores[i] as number;
    const kept = all || !Number.isFinite(score) || score > smallest;
    factors[i] = kept ? 1 : 0;
    if (kept && Number.isFinite(score)) left--;
  }
  for (let i = 0; i < n && left > 0 && !all; i++)
    if (scores[i] === smallest) {
      factors[i] = 1;
      left--;
    }
}

/**
 * Keeps line i with probability p[i] = min(1, c score[i]), c such that the p add up to share * n, by the draw
 * counterHash(key, position + i * stride). If fewer lines than that are nonzero, all of them are kept.
 */
export function chooseByNorm(n: number, share: number, key: number, position: number, stride: number): void {
  // Water filling: lines that would get more than 1 are given 1, and the others share what remains.
  let budget = share * n;
  const CERTAIN = 1;
  const OPEN = 0;
  for (let i = 0; i < n; i++) factors[i] = Number.isFinite(scores[i]) ? OPEN : CERTAIN;
  let c = 0;
  for (let again = true; again; ) {
    clearSum();
    for (let i = 0; i < n; i++) if (factors[i] === OPEN) addTerm(i, scores[i] as number);
    const sum = totalSum();
    c = sum > 0 ? budget / sum : 0;
    let certain = 0;
    for (let i = 0; i < n; i++)
      if (factors[i] === OPEN && (scores[i] as number) * c >= 1) {
        factors[i] = CERTAIN;
        certain++;
      }
    budget -= certain;
    again = certain > 0;
  }
  for (let i = 0; i < n; i++) {
    if (factors[i] === CERTAIN) continue;
    const p = (scores[i] as number) * c;
    factors[i] = counterHash(key, position + i * stride) < p * 2 ** 32 ? 1 / p : 0;
  }
}

/** The k-th largest of values[0, n), 1 <= k <= n. Reorders them. Hoare's quickselect, the pivot from the middle. */
function kthLargest(values: Float64Array, n: number, k: number): number {
  let low = 0;
  let high = n - 1;
  const target = k - 1; // where it stands in descending order
  while (low < high) {
    const pivot = values[(low + high) >> 1] as number;
    let i = low;
    let j = high;
    while (i <= j) {
      while ((values[i] as number) > pivot) i++;
      while ((values[j] as number) < pivot) j--;
      if (i > j) break;
      const value = values[i] as number;
      values[i++] = values[j] as number;
      values[j--] = value;
    }
    if (target <= j) high = j;
    else if (target >= i) low = i;
    else break;
  }
  return values[target] as number;
}
