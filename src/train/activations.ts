/**
 * What a recurrent layer's activations look like in one forward pass: histograms per gate, and units
 * that have stopped working.
 *
 *   dead        h of the unit moves by less than 0.01 over all sampled positions
 *   saturated   the tanh it goes through (LSTM: tanh(c), GRU: n, RNN: h; Cell.saturates) is exactly -1 or 1 in float32 at
 *               99 % of them or more: 1 - tanh^2 = 0, and no
 *               gradient reaches its cell from above
 *   saturated gate activations are those exactly at an end (-1, 0 or 1), whose derivative is exactly 0
 *
 * One row in eight or a little more is sampled, so that every lane is met.
 */
import type { CellStep } from "../kernels/kernels.ts";
import type { RecurrentLayer } from "../nn/recurrent.ts";
import type { LayerTelemetry } from "./events.ts";

/** Bins of width 0.05 from -1 to 1: sigmoid gates fill the upper half, tanh all. */
export const ACTIVATION_BINS = 40;
const LEAST_STRIDE = 8;
const DEAD_RANGE = 0.01;
const SATURATED_SHARE = 0.99;

export class ActivationTally {
  readonly layer: string;
  readonly #gates: readonly string[];
  readonly #hidden: number;
  readonly #kept: number; // of the tanh that saturates: its index among what the cell keeps, or -1
  readonly #gate: number; // or among its gates, or -1
  readonly #stride: number;
  readonly #counts: Int32Array; // (gates, ACTIVATION_BINS)
  readonly #ends: Int32Array; // (gates)
  readonly #least: Float64Array; // (H)
  readonly #most: Float64Array; // (H)
  readonly #atEnd: Int32Array; // (H): positions where that tanh is -1 or 1
  #rows = 0;

  constructor({ name, cell }: RecurrentLayer, hidden: number, B: number) {
    this.layer = name;
    this.#gates = cell.gates;
    this.#hidden = hidden;
    this.#kept = cell.keeps.indexOf(cell.saturates ?? "");
    this.#gate = cell.gates.indexOf(cell.saturates ?? "");
    let stride = LEAST_STRIDE;
    while (divisor(stride, B) > 1) stride++;
    this.#stride = stride;
    this.#counts = new Int32Array(cell.gates.length * ACTIVATION_BINS);
    this.#ends = new Int32Array(cell.gates.length);
    this.#least = new Float64Array(hidden);
    this.#most = new Float64Array(hidden);
    this.#atEnd = new Int32Array(hidden);
  }

  /** Forgets the passes before. */
  clear(): void {
    this.#counts.fill(0);
    this.#ends.fill(0);
    this.#atEnd.fill(0);
    this.#least.fill(Number.POSITIVE_INFINITY);
    this.#most.fill(Number.NEGATIVE_INFINITY);
    this.#rows = 0;
  }

  /** Times [from, from + steps), now in the layer's buffers from the step's rows on. `lengths`: Pass.lengths. */
  add(
    { row, stateRow, rows: B, gates: { data: gates }, h: { data: h }, keeps }: Readonly<CellStep>,
    from: number,
    steps: number,
    lengths?: Int32Array,
  ): void {
    const [H, G] = [this.#hidden, this.#gates.length];
    const kept = keeps[this.#kept]?.data;
    const tanh = kept ?? (this.#gate >= 0 ? gates : undefined);
    const skipped = (from * B) % this.#stride;
    for (let r = skipped === 0 ? 0 : this.#stride - skipped; r < steps * B; r += this.#stride) {
      if (lengths && from + Math.floor(r / B) >= (lengths[r % B] as number)) continue; // padding
      this.#rows++;
      for (let g = 0; g < G; g++) this.#countGate(gates, ((row + r) * G + g) * H, g);
      const hAt = (from * B + B + r) * H;
      const tanhAt = kept ? (stateRow + r) * H : ((row + r) * G + this.#gate) * H;
      for (let n = 0; n < H; n++) {
        const value = h[hAt + n] as number;
        if (value < (this.#least[n] as number)) this.#least[n] = value;
        if (value > (this.#most[n] as number)) this.#most[n] = value;
        if (tanh && Math.abs(tanh[tanhAt + n] as number) === 1) this.#atEnd[n]!++;
      }
    }
  }

  #countGate(gates: Float32Array | Float64Array, start: number, gate: number): void {
    const counts = this.#counts;
    const first = gate * ACTIVATION_BINS;
    let ends = 0;
    for (let at = start; at < start + this.#hidden; at++) {
      const a = gates[at] as number;
      const bin = Math.min(ACTIVATION_BINS - 1, Math.max(0, Math.floor(((a + 1) * ACTIVATION_BINS) / 2)));
      counts[first + bin] = (counts[first + bin] as number) + 1;
      if (a === 0 || a === 1 || a === -1) ends++;
    }
    this.#ends[gate] = (this.#ends[gate] as number) + ends;
  }

  read(): LayerTelemetry {
    const H = this.#hidden;
    const known = this.#kept >= 0 || this.#gate >= 0;
    let [dead, saturated, positions] = [0, 0, 0];
    for (let n = 0; n < H; n++) {
      const ends = this.#atEnd[n] as number;
      if (!((this.#most[n] as number) - (this.#least[n] as number) >= DEAD_RANGE)) dead++;
      if (ends >= SATURATED_SHARE * this.#rows) saturated++;
      positions += ends;
    }
    return {
      layer: this.layer,
      units: H,
      dead,
      saturated: known ? saturated : null,
      saturatedPositions: known ? positions / (H * this.#rows) : null,
      gates: this.#gates.map((gate, g) => ({
        gate,
        counts: [...this.#counts.subarray(g * ACTIVATION_BINS, (g + 1) * ACTIVATION_BINS)],
        saturated: (this.#ends[g] as number) / (H * this.#rows),
      })),
    };
  }
}

/** Share of a gate's activations below 0.1 or above 0.9: the paper's ends; of tanh, beyond -0.9 or 0.9. */
export function endShare(counts: readonly number[]): number {
  const tenth = ACTIVATION_BINS / 20;
  const half = ACTIVATION_BINS / 2;
  const sum = (from: number, to: number) => counts.slice(from, to).reduce((total, count) => total + count, 0);
  const isSigmoid = sum(0, half) === 0;
  const low = isSigmoid ? sum(half, half + tenth) : sum(0, tenth);
  const all = sum(0, ACTIVATION_BINS);
  return all > 0 ? (low + sum(ACTIVATION_BINS - tenth, ACTIVATION_BINS)) / all : 0;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
