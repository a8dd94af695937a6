/** What engine native plans for a weight and a pattern, and the words its sweeps are told in (native/kernels.h). */
import type { IntTensor, Tensor } from "../core/arena.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import { planned } from "./by-address.ts";
import type { Weight } from "./kernels.ts";
import type { Listing } from "./listing.ts";
import type { NativeCalls } from "./native-calls.ts";

/** What `compress` does with a group, and its flags. */
export const THRESHOLD = 1;
export const STOCHASTIC = 2;
export const BEFORE = 1;
export const AFTER = 2;
export const INDEX = 4;
export const LISTS = 8;

export interface NativeWeight extends Weight {
  /** Panels over N of w^T, [N / 64][K][64]; on bf16 operands of pairs of 4 bytes, [N / 64][K / 2][64]. */
  readonly nt: Tensor | undefined;
  /** Panels over K of w, [K / 64][N][64]. */
  readonly nn: Tensor | undefined;
  /**
   * Of a weight that also meets live columns, whose products read `nt` alone: whether `nn` is as the weight is, and was
   * read since it last was packed. What nobody read is packed when somebody does.
   */
  readonly nnState: { fresh: boolean; read: boolean };
  /** w^T (K, N), and what lookupGradient needs: sums (K, N) and touched (K), zero between calls. */
  readonly lookup: { columns: Tensor; sums: Tensor; touched: IntTensor } | undefined;
}

export interface NativePattern extends Pattern {
  /** Nonzeros of a row, row after row within one sweep. (list rows, cols + slack) */
  readonly values: Tensor;
  /** For each of them 16 bits: byte offset of its row in a panel tile. */
  readonly offsets: IntTensor;
  /** (list rows, tiles + 1): index into the lists where each tile's piece of a row begins. */
  readonly starts: IntTensor;
  /** The rule's tau in float32, per group. */
  readonly tau: Tensor;
  /** Shares of the sums, added in order. (64, groups, 4) */
  readonly partials: Tensor<Float64Array>;
  /** Rows whose lists are of their last sweep: `keep` makes none. */
  readonly listing: Listing;
}

/** Address of the panels of w for dh and dx, packed first if they are not. */
export function panelsNN(w: Weight, calls: NativeCalls): number {
  const { tensor, nn, nnState } = w as NativeWeight;
  const { ptr } = planned(nn, w, "nn");
  const [N, K] = tensor.shape as [number, number];
  if (!nnState.fresh) calls.packPanels(N, K, tensor.ptr, ptr);
  nnState.fresh = true;
  nnState.read = true;
  return ptr;
}

/** The rule's tau for the sweep; nothing is dropped below -1, which no magnitude is. */
export function setTau({ site, tau }: NativePattern, rule: DropRule): void {
  const pruned = rule.kind === "threshold" || rule.kind === "stochastic";
  for (let group = 0; group < site.groups.length; group++) tau.data[group] = pruned ? (rule.tau[group] as number) : -1;
}
