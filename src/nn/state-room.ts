/**
 * Room for a layer's states and for what its cell keeps: of all time steps that its gates have room for, or, where that is
 * much and the cell's kernel can make them again from the gates (CellKernel.restate), of a stretch of time steps. Then the
 * states stay where a stretch begins, and backward makes those of a stretch before it goes through it: pointwise, to the
 * same bits. The room of a stretch is one for all layers, since none is in another's forward or backward.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import type { CellKernel, CellStep } from "../kernels/kernels.ts";
import type { Cell } from "./cell.ts";
import { copyBlock } from "./module.ts";
import type { Padding } from "./padding.ts";
import { RowCopies } from "./row-copies.ts";

/**
 * Numbers of one state over all of time from which on it is kept by stretches, 2 MB: smaller ones stay in a cache between
 * forward and backward, where making them again costs more than it spares.
 */
const MANY_NUMBERS = 2 ** 19;

const NONE = -1;

export interface StateShape {
  readonly T: number;
  readonly B: number;
  readonly H: number;
  /** Time steps that the gates have room for. */
  readonly segment: number;
}

export class StateRoom {
  readonly states: readonly Tensor[]; // ((R+1)*B, H) each
  readonly keeps: readonly Tensor[]; // (R*B, H) each
  /** R time steps. */
  readonly steps: number;
  /** With several stretches, the states where each begins: (ceil(T/R)*B, H) each. */
  readonly #starts: readonly Tensor[];
  /** Whether other layers fill the same room. */
  readonly #shared: boolean;
  readonly #pointwise: CellKernel;
  readonly #padding: Padding;
  readonly #copies: RowCopies;
  #T = 0;
  #present = NONE; // the stretch that is there

  constructor(arena: Arena, name: string, cell: Cell, pointwise: CellKernel, padding: Padding, shape: StateShape) {
    const { T, B, H, segment } = shape;
    const R = stretchSteps(cell, pointwise, shape);
    this.steps = R;
    this.#shared = R < segment;
    const plan = (label: string, blocks: number, room?: string) =>
      arena.tensor(`${name}.${label}`, [blocks * B, H], "activations", room);
    const planStretch = (label: string, blocks: number) =>
      plan(label, blocks, this.#shared ? `stretch of ${label}` : undefined);
    this.states = cell.states.map((state) => planStretch(state, R + 1));
    this.keeps = cell.keeps.map((kept) => planStretch(kept, R));
    this.#starts = R < T ? cell.states.map((state) => plan(`${state}Starts`, Math.ceil(T / R))) : [];
    this.#pointwise = pointwise;
    this.#padding = padding;
    this.#copies = new RowCopies(arena);
  }

  /** A pass over T time steps, from these states (B, H). */
  begin(T: number, B: number, from: readonly Tensor[]): void {
    this.#T = T;
    for (let s = 0; s < this.states.length; s++) copyBlock(this.states[s]!, 0, from[s]!, 0, B);
  }

  /** Forward comes to the stretch that begins at `time`, from the one before it, or `again` after later ones. */
  enter(time: number, B: number, again: boolean): void {
    this.#present = time / this.steps;
    const kept = this.#present * B;
    for (let s = 0; s < this.states.length; s++) {
      const state = this.states[s]!;
      const starts = this.#starts[s];
      if (again) this.#copy(state, 0, starts!, kept, B);
      else if (time > 0) this.#copy(state, 0, state, this.steps * B, B);
      if (starts && !again) this.#copy(starts, kept, state, 0, B);
    }
  }

  #copy(to: Tensor, toRow: number, from: Tensor, fromRow: number, rows: number): void {
    this.#copies.copy(to, toRow, 0, from, fromRow, 0, rows * from.rowLength);
  }

  /** Row of time t. */
  row(time: number, B: number): number {
    return (time % this.steps) * B;
  }

  /** After forward: copies the last states. */
  end(B: number, to: readonly Tensor[]): void {
    const row = this.row(this.#T - 1, B) + B;
    for (let s = 0; s < this.states.length; s++) copyBlock(to[s]!, 0, this.states[s]!, row, B);
    if (this.#shared) this.#present = NONE;
  }

  /** Backward comes to time t: its states are there, at `step.stateRow`. */
  ready(step: CellStep, time: number): void {
    const stretch = Math.floor(time / this.steps);
    if (stretch !== this.#present) this.#make(step, stretch);
    step.stateRow = this.row(time, step.rows);
  }

  #make(step: CellStep, stretch: number): void {
    const { row, hRow, rows: B } = step;
    const from = stretch * this.steps;
    const steps = Math.min(this.steps, this.#T - from);
    const whole = Math.min(steps, Math.max(0, this.#padding.full - from));
    this.enter(from, B, true);
    step.row = step.hRow = from * B;
    step.stateRow = 0;
    if (whole > 0) this.#pointwise.restate?.(step, whole);
    for (let t = whole; t < steps; t++) {
      step.row = step.hRow = (from + t) * B;
      step.stateRow = t * B;
      this.#pointwise.restate?.(step, 1);
      this.#padding.freeze(step, from + t);
    }
    step.row = row;
    step.hRow = hRow;
  }
}

/**
 * R: a segment, where gates have room for no more; all of time, where that is little; else a part of it, about sqrt(2 T), so
 * that neither a stretch nor the states where stretches begin take much. At W2, a tenth kept, two stretches took 1.0 to 1.3 %
 * of a step (medians of two runs beside none), five no more.
 */
function stretchSteps(cell: Cell, { restate }: CellKernel, { T, B, H, segment }: StateShape): number {
  if (segment < T || !restate || cell.states.length + cell.keeps.length === 0) return segment;
  return T * B * H < MANY_NUMBERS ? T : Math.ceil(T / Math.round(Math.sqrt(T / 2)));
}
