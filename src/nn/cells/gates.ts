/**
 * What makes a gate of its pre-activation. Cells of our own take the logistic sigmoid; Keras' older layers, and those
 * of TensorFlow.js by default, a line with both ends cut off, whose slope is exactly zero there.
 */
import { sigmoid } from "./sigmoid.ts";

export interface GateActivation {
  readonly name: "sigmoid" | "hardSigmoid";
  of(x: number): number;
  /** The slope where the activation is y. */
  slope(y: number): number;
}

export const logistic: GateActivation = {
  name: "sigmoid",
  of: sigmoid,
  slope: (y) => y * (1 - y),
};

/** Keras': 0.2 x + 0.5, between 0 and 1. */
export const hardSigmoid: GateActivation = {
  name: "hardSigmoid",
  of: (x) => Math.min(1, Math.max(0, 0.2 * x + 0.5)),
  slope: (y) => (y > 0 && y < 1 ? 0.2 : 0),
};
