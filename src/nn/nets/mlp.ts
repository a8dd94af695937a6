/**
 * A multi-layer perceptron: linear layers with an activation after each, at every position by itself. It remembers
 * nothing: for sequences it is a floor, for images given whole (task.order=flat) the usual thing.
 */
import { Activation } from "../activation.ts";
import { Dropout } from "../dropout.ts";
import { LastPosition } from "../last-position.ts";
import { Linear } from "../linear.ts";
import type { Input, Module, Rows } from "../module.ts";
import { type Net, RECURRENT_ALONE } from "../net.ts";

export const mlpNet: Net = {
  summary: "linear layers with an activation after each, every position by itself",
  refuses: [...RECURRENT_ALONE, "numHeads", "dimFeedforward", "positions", "recompute"],
  build(planner, { input, below, output, options }) {
    const { hiddenSize, numLayers, dropout = 0, activation: kind = "relu" } = options;
    const layers: Module[] = [];
    let x: Input = input;
    for (let index = 0; index < numLayers; index++) {
      const linear: Linear = new Linear(planner, {
        name: `mlp.l${index}`,
        input: x,
        outputs: hiddenSize,
        needsInputGradient: below + layers.length > 0,
      });
      const between = { name: `mlp.${kind}${index}`, kind, input: linear.output, gradient: linear.gradient };
      const activation = new Activation(planner, between);
      layers.push(linear, activation);
      x = activation.output;
      if (dropout > 0) {
        const mask = new Dropout(planner, `mlp.dropout${index}`, hiddenSize, dropout);
        layers.push(mask);
        x = mask.output;
      }
    }
    if (output.positions === "last" && planner.T > 1) {
      const last = new LastPosition(planner, hiddenSize);
      layers.push(last);
      x = last.output;
    }
    return { layers, output: x as Rows, recurrent: [], context: 1 };
  },
};
