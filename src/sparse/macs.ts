/**
 * Multiply-accumulates, counted per product.
 *
 * dense     the textbook count of products a dense trainer must do: look-ups 0, dh at t = 0 and dx
 *           below the first layer not counted
 * skipped   those the pattern made redundant (natural zeros included), whatever the engine did
 * masked    of what the pattern left, those of columns that structured dropout zeroed: no policy's merit, so in a
 *           book of their own
 * executed  what the engine did
 */
export interface ProductMacs {
  /** The module, for example "lstm.l0" or "head". */
  readonly layer: string;
  /**
   * "xW", "hU" forward; "dh", "dx", "dW", "dU" backward; the head and linear layers have "xW", "dx", "dW",
   * attention "qk", "pv" forward and "dv", "dp", "dq", "dk" backward; a decoder's attention "scores", "context" forward
   * and "dShares", "dMemory", "dx" (of the query), "dW" (of the memory, by the scores) backward.
   */
  readonly product: string;
  readonly direction: "forward" | "backward";
  /** Belongs to a recurrent layer: the paper's figure is a share of these. */
  readonly recurrent: boolean;
  /** [n, k] of a product without a weight: of no site (m, n) += over k; of attention's scores a trace's (sparse/trace.ts). */
  readonly shape?: readonly [n: number, k: number];
  dense: number;
  skipped: number;
  masked: number;
  executed: number;
}

export function productMacs(
  layer: string,
  product: string,
  direction: "forward" | "backward",
  recurrent: boolean,
): ProductMacs {
  return { layer, product, direction, recurrent, dense: 0, skipped: 0, masked: 0, executed: 0 };
}

export function setMacs(macs: ProductMacs, dense: number, skipped: number, executed: number, masked = 0): void {
  macs.dense = dense;
  macs.skipped = skipped;
  macs.masked = masked;
  macs.executed = executed;
}

/** Shares of `skipped` in `dense`: of recurrent layers' products, and of all training; of `masked` in all training. */
export interface MacShares {
  dense: number;
  skipped: number;
  executed: number;
  macsSkippedRecurrent: number;
  macsSkippedAll: number;
  /** These two only where structured dropout masked something. */
  masked?: number;
  macsMaskedAll?: number;
}

export function macShares(products: readonly ProductMacs[]): MacShares {
  const shares = { dense: 0, skipped: 0, masked: 0, executed: 0 };
  let recurrentDense = 0;
  let recurrentSkipped = 0;
  for (const { recurrent, dense, skipped, masked, executed } of products) {
    shares.dense += dense;
    shares.skipped += skipped;
    shares.masked += masked;
    shares.executed += executed;
    if (!recurrent) continue;
    recurrentDense += dense;
    recurrentSkipped += skipped;
  }
  const { masked, ...rest } = shares;
  return {
    ...rest,
    macsSkippedRecurrent: recurrentDense ? recurrentSkipped / recurrentDense : 0,
    macsSkippedAll: shares.dense ? shares.skipped / shares.dense : 0,
    ...(masked > 0 ? { masked, macsMaskedAll: masked / shares.dense } : {}),
  };
}
