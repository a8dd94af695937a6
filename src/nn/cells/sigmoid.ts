/** The logistic function, of all cells. */
export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
