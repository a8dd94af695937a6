/**
 * Room for a layer's states and for what its cell keeps: of all time steps that its gates have room for, or, where that is
 * much and the cell's kernel can make them again from the gates (CellKernel.restate), of a stretch of time steps. Then the
 * states stay where a stretch begins, and backward makes those of a stretch before it goes through it: pointwise, to the
 * same bits.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import type { CellKernel, CellStep } from "../kernels/kernels.ts";
import type { Cell } from "./cell.ts";
import { copyBlock } from "./module.ts";
import type { Padding } from "./padding.ts";

/**
 * Numbers of one state over all of time from which on it is kept by stretches, 2 MB: smaller ones stay in a cache between
 * forward and backward, where making them again costs more than it spares.
 */
const MANY_NUMBERS = 2 ** 19;

export interface StateShape {
  readonly T: number;
  readonly B: number;
  readonly H: number;
  /** Time steps that the gates have room for. */
  readonly segment: number;
}

export class StateRoom {
  /** ((R+1)*B, H) each; behind them, with several stretches, those where each begins: (ceil(T/R)*B, H) more. */
  readonly states: readonly Tensor[];
  readonly keeps: readonly Tensor[]; // (R*B, H) each
  /** R time steps. */
  readonly steps: number;
  readonly #several: boolean;
  readonly #pointwise: CellKernel;
  readonly #padding: Padding;
  #T = 0;
  #present = 0; // the stretch that is there

  constructor(arena: Arena, name: string, cell: Cell, pointwise: CellKernel, padding: Padding, shape: StateShape) {
    const { T, B, H } = shape;
    const R = stretchSteps(cell, pointwise, shape);
    const plan = (label: string, blocks: number) => arena.tensor(`${name}.${label}`, [blocks * B, H], "activations");
    this.steps = R;
    this.#several = R < T;
    this.states = cell.states.map((state) => plan(state, R + 1 + (R < T ? Math.ceil(T / R) : 0)));
    this.keeps = cell.keeps.map((kept) => plan(kept, R));
    this.#pointwise = pointwise;
    this.#padding = padding;
  }

  /** A pass over T time steps, from these states (B, H). */
  begin(T: number, B: number, from: readonly Tensor[]): void {
    this.#T = T;
    for (let s = 0; s < this.states.length; s++) copyBlock(this.states[s]!, 0, from[s]!, 0, B);
  }

  /** Forward comes to the stretch that begins at `time`, from the one before it, or `again` after later ones. */
  enter(time: number, B: number, again: boolean): void {
    this.#present = time / this.steps;
    const kept = (this.steps + 1 + this.#present) * B;
    for (let s = 0; s < this.states.length; s++) {
      const state = this.states[s]!;
      if (again) moveBlock(state, 0, kept, B);
      else if (time > 0) moveBlock(state, 0, this.steps * B, B);
      if (this.#several && !again) moveBlock(state, kept, 0, B);
    }
  }

  /** Row of time t. */
  row(time: number, B: number): number {
    return (time % this.steps) * B;
  }

  /** After forward: copies the last states. */
  end(B: number, to: readonly Tensor[]): void {
    const row = this.row(this.#T - 1, B) + B;
    for (let s = 0; s < this.states.length; s++) copyBlock(to[s]!, 0, this.states[s]!, row, B);
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

/** Copies rows within a tensor; makes no view, and is as fast as memory. */
function moveBlock(tensor: Tensor, toRow: number, fromRow: number, rows: number): void {
  const width = tensor.rowLength;
  tensor.data.copyWithin(toRow * width, fromRow * width, (fromRow + rows) * width);
}

/**
 * Stretches that all of time is cut into. States of all but the last are made again: at W2, a tenth kept, five of them
 * took 1.1 % of a step, and made the layers 16 MiB smaller in place of 9.
 */
const STRETCHES = 2;

/** R: a segment, where gates have room for no more; all of time, where that is little; else a part of it. */
function stretchSteps(cell: Cell, { restate }: CellKernel, { T, B, H, segment }: StateShape): number {
  if (segment < T || !restate || cell.states.length + cell.keeps.length === 0) return segment;
  return T * B * H < MANY_NUMBERS ? T : Math.ceil(T / STRETCHES);
}
