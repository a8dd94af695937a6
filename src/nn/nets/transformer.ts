/**
 * A small causal transformer: learned positions, blocks of attention and a feed-forward part with norms first, a norm at
 * the end. It reads T positions at once and carries nothing from batch to batch: of a text, each window begins anew.
 *
 * Where the input is not hiddenSize wide (features, another embedding, one-hot tokens) a linear layer makes it so.
 */
import { check } from "../../core/check.ts";
import { Dropout } from "../dropout.ts";
import { LastPosition } from "../last-position.ts";
import { LayerNorm } from "../layer-norm.ts";
import { Linear } from "../linear.ts";
import { type Module, OneHot, type Rows } from "../module.ts";
import { type Net, RECURRENT_ALONE } from "../net.ts";
import { Positions } from "../positions.ts";
import { TransformerBlock } from "../transformer-block.ts";

export const DEFAULT_HEADS = 4;

export const transformerNet: Net = {
  summary: "blocks of causal attention and a feed-forward part over T positions at once",
  refuses: [...RECURRENT_ALONE, "recompute"],
  build(planner, { input, below, output, options }) {
    const { hiddenSize, numLayers, dropout = 0, activation = "relu", numHeads: heads = DEFAULT_HEADS } = options;
    const positions = options.positions ?? planner.T;
    const feedforward = options.dimFeedforward || 4 * hiddenSize;
    check(
      hiddenSize % heads === 0,
      `numHeads is ${heads}, which does not divide hiddenSize ${hiddenSize}: each head has hiddenSize / numHeads columns. ` +
        `Use one of ${divisors(hiddenSize).join(", ")} heads.`,
    );
    const layers: Module[] = [];
    const add = <M extends Module>(layer: M): Rows => {
      layers.push(layer);
      return layer.output;
    };
    let x: Rows;
    if (input instanceof OneHot || input.tensor.rowLength !== hiddenSize)
      x = add(
        new Linear(planner, {
          name: "transformer.input",
          input,
          outputs: hiddenSize,
          needsInputGradient: below > 0,
        }),
      );
    else x = input;
    x = add(new Positions(planner, "transformer.positions", hiddenSize, positions));
    if (dropout > 0) x = add(new Dropout(planner, "transformer.dropout", hiddenSize, dropout));
    for (let index = 0; index < numLayers; index++)
      x = add(
        new TransformerBlock(planner, { net: "transformer", index, input: x, heads, feedforward, activation, dropout }),
      );
    x = add(new LayerNorm(planner, "transformer.norm", hiddenSize));
    if (output.positions === "last") x = add(new LastPosition(planner, hiddenSize));
    return { layers, output: x, recurrent: [], context: positions };
  },
};

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}
