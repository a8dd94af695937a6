/** A traced step with other zeros: anywhere, with one probability. What densities alone would do, beside real patterns. */
import { RandomStream } from "../core/random.ts";
import type { TraceSite, TraceStep } from "../sparse/trace.ts";
import { countBits, wordsOf } from "../sparse/trace.ts";

/** Each site's gradients are nonzero with probability `density`, independently; the same for the same seed. */
export function withDensity(step: TraceStep, density: number, seed = 1): TraceStep {
  const random = new RandomStream(seed, "energy");
  const sites = step.sites.map((site): TraceSite => {
    const bitmap = randomBits(site.rows, site.cols, density, random);
    // What a group has of it no machine asks.
    return { ...site, groups: [], bitmap };
  });
  const products = step.products.map((product) => {
    const site = sites.find(({ name }) => name === product.site);
    if (!site) return product;
    const { m, n, k, firstRow } = product;
    const words = wordsOf(site.cols);
    const kept = countBits(site.bitmap.subarray(firstRow * words, (firstRow + m) * words));
    return { ...product, skipped: (m * n - kept) * k };
  });
  return { ...step, sites, products };
}

/** (rows, ceil(cols/32)) words, bits beyond the columns 0. */
export function randomBits(rows: number, cols: number, density: number, random: RandomStream): Uint32Array {
  const words = wordsOf(cols);
  const bitmap = new Uint32Array(rows * words);
  if (density <= 0) return bitmap;
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++)
      if (density >= 1 || random.uniform() < density) {
        const at = r * words + (c >> 5);
        bitmap[at] = (bitmap[at] as number) | (1 << (c & 31));
      }
  return bitmap;
}
