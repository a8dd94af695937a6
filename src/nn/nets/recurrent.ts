/** Recurrent layers of one cell, in one or both directions, with dropout after each. */
import { choose } from "../../core/check.ts";
import { BidirectionalLayer } from "../bidirectional.ts";
import type { Cell } from "../cell.ts";
import { cells } from "../cells.ts";
import { Dropout } from "../dropout.ts";
import type { Module, Rows } from "../module.ts";
import type { Net } from "../net.ts";
import { RecurrentLayer, type RecurrentOptions } from "../recurrent.ts";

export const recurrentNet: Net = {
  summary: "layers of an LSTM, GRU or other cell, one time step after another",
  refuses: ["activation", "numHeads", "dimFeedforward", "positions"],
  build(planner, { input, below, output, options, recompute }) {
    const { cell: name = "lstm", hiddenSize, numLayers, bidirectional, dropout = 0, forgetBias = 1 } = options;
    const cell: Cell = choose("cell", name, cells);
    const layers: Module[] = [];
    const recurrent: RecurrentLayer[] = [];
    let x = input;
    for (let index = 0; index < numLayers; index++) {
      const layerOptions: RecurrentOptions = {
        name: cell.name,
        index,
        input: x,
        hiddenSize,
        forgetBias,
        needsInputGradient: below + layers.length > 0,
        segment: recompute,
      };
      const final = index === numLayers - 1 && output.positions === "last";
      const layer: RecurrentLayer | BidirectionalLayer = bidirectional
        ? new BidirectionalLayer(planner, cell, layerOptions, final)
        : new RecurrentLayer(planner, cell, layerOptions);
      layers.push(layer);
      recurrent.push(...(layer instanceof BidirectionalLayer ? layer.directions : [layer]));
      x = layer.output;
      if (dropout > 0) {
        const mask = new Dropout(planner, `dropout.l${index}`, x.tensor.rowLength, dropout);
        layers.push(mask);
        x = mask.output;
      }
    }
    return { layers, output: x as Rows, recurrent, context: 1 };
  },
};
