/** Products on a systolic array, and on one that gathers columns. */
import { popcount, type TraceSite } from "../sparse/trace.ts";
import type { Work } from "./counts.ts";
import type { SystolicDesign } from "./machine.ts";
import { liveColumns, rowsOf } from "./patterns.ts";
import { type ProductRun, productRun } from "./product-run.ts";
import { gemmOf, streamedCycles, systolicActions, systolicCycles, systolicWords } from "./systolic.ts";

/** A product as a dense array does it; `gating` saves the energy of zeros, nothing else. */
export function runSystolic(design: SystolicDesign, work: Work): ProductRun {
  const { stationary, gating } = design;
  const { m, block } = work.product;
  const count = m === 0 ? 0 : Math.ceil(m / block);
  const gemm = gemmOf(work, Math.min(m, block));
  const each = systolicCycles(gemm, design, stationary);
  const cycles = each * count;
  const streamed = streamedCycles(gemm, design, stationary) * count;
  const peak = design.rows * design.cols;
  const gated = gating ? work.macsSkipped : 0;
  return productRun(
    cycles,
    work.macsDense - gated,
    { zeros: gated / peak, edge: streamed - work.macsDense / peak, fill: cycles - streamed },
    systolicActions(work.macsDense, gated, systolicWords(gemm, design, stationary) * count),
    count > 1 ? new Float64Array(count).fill(each) : null,
  );
}

/**
 * The same array behind a gather unit: in a block of `batch` rows columns without a nonzero are left out. For dW and dU
 * a block's live columns are rows of the result, its samples are summed over; sums go out and in with each block.
 * Where that takes longer than the dense way, the product runs dense.
 */
export function runGathering(design: SystolicDesign, work: Work, site: TraceSite | null, batch: number): ProductRun {
  const dense = runSystolic(design, work);
  const { m, n, k, form, block, firstRow } = work.product;
  if (!site || form === "NT" || m === 0) return dense;
  const live = liveColumns(rowsOf(site, firstRow, m), batch, popcount);
  const { rows } = design;
  const looped = block < m;
  const blocks = new Float64Array(live.length);
  let cycles = 0;
  let streamed = 0;
  let words = 0;
  let done = 0;
  for (let t = 0; t < live.length; t++) {
    const columns = live[t] as number;
    const samples = Math.min(batch, m - t * batch);
    const gemm = form === "NN" ? { M: samples, N: k, K: columns } : { M: columns, N: k, K: samples };
    const all = systolicCycles(gemm, design, design.stationary);
    const streams = streamedCycles(gemm, design, design.stationary);
    // Outside of a time loop blocks follow one another without filling and draining.
    blocks[t] = looped ? all : Math.max(streams, all - rows - (rows + design.cols - 2));
    cycles += blocks[t] as number;
    streamed += streams;
    words += systolicWords(gemm, design, design.stationary) + (form === "TN" && t > 0 ? columns * k : 0);
    done += columns * samples * k;
  }
  if (!looped) cycles += 2 * rows + design.cols - 2;
  if (cycles >= dense.cycles) return dense;
  const peak = rows * design.cols;
  return productRun(
    cycles,
    done,
    { edge: streamed - done / peak, fill: cycles - streamed },
    // A bit for each column, found by a comparison of each gradient.
    { ...systolicActions(done, 0, words), index: (m * n) / 32 },
    looped ? blocks : null,
  );
}
