/**
 * THE CONTRACT of a cell: the pointwise part of one time step. The matrix products around it, the
 * rule on its gate gradients and the time loop belong to recurrent.ts.
 */
import type { CellKernel } from "../kernels/kernels.ts";

export interface Cell extends CellKernel {
  readonly name: string;
  /** In PyTorch's order; parameters and gate buffers are stacked in it. */
  readonly gates: readonly string[];
  /** Carried states beside h. */
  readonly states: readonly string[];
  /** What forward keeps for backward. */
  readonly keeps: readonly string[];
  /** The gate whose input bias starts at `forgetBias`, if there is one. */
  readonly forgetGate?: number;
}
