/**
 * The definition of every rule: zeroes in place what is dropped, and of residues. Engine js runs it; others have sweeps of
 * their own (kernels/choice.ts says for which kinds) and call it for the rest. All of it is in float64 and in a fixed
 * order, so the bits are the same under every engine.
 */
import type { RealArray } from "../core/arena.ts";
import { counterHash } from "../core/random.ts";
import { addTerm, chooseByNorm, clearSum, factors, keepLargest, reserve, scores, totalSum } from "./choose.ts";
import type { Pattern } from "./pattern.ts";
import type { DropRule } from "./rule.ts";
import { binOf, HISTOGRAM_BINS, HISTOGRAM_ROW_STRIDE } from "./statistics.ts";

/** Applies `rule` to rows [row, row + rows) of the pattern's gradients. Draws go by the site's rows. */
export function applyRule(rule: DropRule, pattern: Pattern, row: number, rows: number): void {
  const { firstRow } = pattern;
  const { cols, groups } = pattern.site;
  const draw = firstRow * cols; // how far a draw's position is ahead of the element's
  const g = pattern.dense.data;
  const { kind } = rule;
  if (kind === "custom") rule.apply?.(g, row, rows, cols);
  if (kind === "rows") applyRows(rule, g, row, rows, cols, draw);
  if (kind === "keep" || kind === "custom" || kind === "rows") return;
  const together = rule.pooled && (kind === "topk" || kind === "columns");
  const parts = together ? 1 : groups.length;
  const width = cols / parts;
  const byColumn = kind === "columns" || (kind === "topk" && rule.unified);
  for (let part = 0; part < parts; part++) {
    if (byColumn) applyColumns(rule, part, g, row, rows, cols, width, draw);
    else
      for (let r = row; r < row + rows; r++) {
        const start = r * cols + part * width;
        if (kind === "topk") applyTopK(rule.share[part] as number, g, start, width);
        else if (kind === "block")
          applyBlocks(rule, part, g, start, width, (firstRow + r) % HISTOGRAM_ROW_STRIDE === 0);
        else applyElements(rule, part, g, start, width, draw);
      }
  }
}

/** Before the rule: adds what was dropped at the step before, and keeps the sum at hand in the residue. */
export function recallDropped(rule: DropRule, pattern: Pattern, row: number, rows: number): void {
  if (!rule.residue || rule.kind === "keep") return;
  const { cols } = pattern.site;
  const ahead = pattern.firstRow * cols; // the residue has all of the site's rows
  const g = pattern.dense.data;
  const residue = rule.residue.data;
  for (let at = row * cols; at < (row + rows) * cols; at++) {
    residue[ahead + at] = (g[at] as number) + rule.decay * (residue[ahead + at] as number);
    g[at] = residue[ahead + at] as number;
  }
}

/** After the rule: where anything is left, nothing was dropped. */
export function rememberDropped(rule: DropRule, pattern: Pattern, row: number, rows: number): void {
  if (!rule.residue || rule.kind === "keep") return;
  const { cols } = pattern.site;
  const ahead = pattern.firstRow * cols;
  const g = pattern.dense.data;
  const residue = rule.residue.data;
  for (let at = row * cols; at < (row + rows) * cols; at++) if (g[at] !== 0) residue[ahead + at] = 0;
}

/** threshold, stochastic, random: each element by itself. */
function applyElements(rule: DropRule, part: number, g: RealArray, start: number, width: number, draw: number): void {
  const tau = rounded(rule.tau[part] as number, g);
  const share = rule.share[part] as number;
  const scale = rounded(1 / share, g);
  for (let at = start; at < start + width; at++) {
    const value = g[at] as number;
    const size = Math.abs(value);
    if (rule.kind === "threshold") {
      if (size <= tau) g[at] = 0;
    } else if (rule.kind === "stochastic") {
      if (!(size < tau)) continue;
      const drawn = rounded((counterHash(rule.key, draw + at) >>> 8) * tau, g); // in [0, tau 2^24)
      const keep = drawn < size * 2 ** 24;
      g[at] = keep ? Math.sign(value) * tau : 0;
    } else if (Number.isFinite(value)) {
      g[at] = counterHash(rule.key, draw + at) < share * 2 ** 32 ? value * scale : 0;
    }
  }
}

/** The largest of one row. */
function applyTopK(share: number, g: RealArray, start: number, width: number): void {
  reserve(width);
  for (let c = 0; c < width; c++) scores[c] = Math.abs(g[start + c] as number);
  keepLargest(width, share);
  for (let c = 0; c < width; c++) if (factors[c] === 0) g[start + c] = 0;
}

/** Whole columns of rows [row, row + rows): by norm, or, for unified topk, by the sum of magnitudes. */
function applyColumns(
  rule: DropRule,
  part: number,
  g: RealArray,
  row: number,
  rows: number,
  cols: number,
  width: number,
  draw: number,
): void {
  const from = part * width;
  reserve(width);
  scores.fill(0, 0, width);
  const squares = rule.kind === "columns";
  for (let r = row; r < row + rows; r++)
    for (let c = 0; c < width; c++) {
      const value = g[r * cols + from + c] as number;
      scores[c] = (scores[c] as number) + (squares ? value * value : Math.abs(value));
    }
  if (squares) for (let c = 0; c < width; c++) scores[c] = Math.sqrt(scores[c] as number);
  const share = rule.share[part] as number;
  if (squares && rule.unbiased) chooseByNorm(width, share, rule.key, draw + row * cols + from, 1);
  else keepLargest(width, share);
  for (let c = 0; c < width; c++) factors[c] = rounded(factors[c] as number, g);
  for (let r = row; r < row + rows; r++) for (let c = 0; c < width; c++) scale(g, r * cols + from + c, c);
}

/** Whole rows by their norm over all groups. */
function applyRows(rule: DropRule, g: RealArray, row: number, rows: number, cols: number, draw: number): void {
  reserve(rows);
  for (let r = 0; r < rows; r++) {
    clearSum();
    for (let c = 0; c < cols; c++) addTerm(c, (g[(row + r) * cols + c] as number) ** 2);
    scores[r] = Math.sqrt(totalSum());
  }
  const share = rule.share[0] as number;
  if (rule.unbiased) chooseByNorm(rows, share, rule.key, draw + row * cols, cols);
  else keepLargest(rows, share);
  for (let r = 0; r < rows; r++) {
    factors[r] = rounded(factors[r] as number, g);
    for (let at = (row + r) * cols; at < (row + r + 1) * cols; at++) scale(g, at, r);
  }
}

/** Blocks of one group in one row; `counted` adds them to the rule's histogram. */
function applyBlocks(rule: DropRule, part: number, g: RealArray, start: number, width: number, counted: boolean): void {
  const { size, blocks } = rule;
  const tau = rounded(rule.tau[part] as number, g);
  for (let c = 0; c < width; c += size) {
    const length = Math.min(size, width - c);
    const norm = blockNorm(g, start + c, length);
    if (counted && blocks) (blocks.data[part * HISTOGRAM_BINS + binOf(norm)] as number)++;
    if (norm <= tau) g.fill(0, start + c, start + c + length);
  }
}

/** Root mean square of a block of `length` columns: squares and sum in float64, from left to right. */
export function blockNorm(g: RealArray, start: number, length: number): number {
  let squares = 0;
  for (let at = start; at < start + length; at++) squares += (g[at] as number) ** 2;
  return Math.sqrt(squares / length);
}

/** Times the factor of its line: 0 drops it, and 1 leaves even NaN as it is. */
function scale(g: RealArray, at: number, line: number): void {
  const factor = factors[line] as number;
  if (factor === 0) g[at] = 0;
  else if (factor !== 1) g[at] = (g[at] as number) * factor;
}

/** In the precision of the gradients. */
function rounded(value: number, g: RealArray): number {
  return g instanceof Float32Array ? Math.fround(value) : value;
}
