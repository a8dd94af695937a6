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
  /**
   * Where h[t-1] U^T goes. shared: onto x W^T, in `gates`; apart: into `hiddenGates`, for the cell to join them, and
   * `dHidden` says what U sees; none: there is no U.
   */
  readonly hiddenProduct: "shared" | "apart" | "none";
  /**
   * Whether h[t] holds a part of h[t-1] that went through no product: `backward` then overwrites dh with what flows
   * along it into t-1. Else it leaves dh alone, and nothing does.
   */
  readonly carriesH: boolean;
  /**
   * The tanh, among `gates` or `keeps`, that what comes to a unit goes through: where it is exactly -1 or 1 no gradient
   * gets past it. None: there is no such place.
   */
  readonly saturates?: string;
  /** The gate whose input bias starts at `forgetBias`, if there is one. */
  readonly forgetGate?: number;
  /** Gates whose bias says how long a unit remembers: for T steps where it is log T, times this sign (`chronoInit`). */
  readonly remembers?: Readonly<Record<string, 1 | -1>>;
}
