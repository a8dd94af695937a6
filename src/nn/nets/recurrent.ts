/** Recurrent layers of one cell, in one or both directions, with norm and dropout after each. */
import { check, choose } from "../../core/check.ts";
import { BidirectionalLayer } from "../bidirectional.ts";
import type { Cell } from "../cell.ts";
import { cells } from "../cells.ts";
import { DROPOUT_KINDS, Dropout } from "../dropout.ts";
import { LayerNorm } from "../layer-norm.ts";
import { type Input, type Module, OneHot, Rows } from "../module.ts";
import type { Net, NetOptions } from "../net.ts";
import { RecurrentLayer, type RecurrentOptions } from "../recurrent.ts";
import { Residual } from "../residual.ts";

export const recurrentNet: Net = {
  summary: "layers of an LSTM, GRU or other cell, one time step after another",
  refuses: ["activation", "numHeads", "dimFeedforward", "positions"],
  build(planner, { input, below, output, options, recompute }) {
    const { cell: name = "lstm", hiddenSize, numLayers, bidirectional, forgetBias = 1 } = options;
    const { dropout = 0, inputDropout = 0, dropoutKind = "element", recurrentDropout = 0 } = options;
    const cell: Cell = choose("cell", name, cells);
    checkDropout(options, cell, input);
    const layers: Module[] = [];
    const recurrent: RecurrentLayer[] = [];
    const width = hiddenSize * (bidirectional ? 2 : 1);
    let between: Module[] = []; // norm and dropout of the stream, which the next layer reads
    let x = input;
    if (inputDropout > 0 && x instanceof Rows) {
      const mask = new Dropout(planner, "dropout.input", x.tensor.rowLength, inputDropout, dropoutKind);
      layers.push(mask);
      x = mask.output;
    }
    for (let index = 0; index < numLayers; index++) {
      const layerOptions: RecurrentOptions = {
        name: cell.name,
        index,
        input: x,
        hiddenSize,
        forgetBias,
        needsInputGradient: index > 0 || below > 0,
        recurrentDropout,
        segment: recompute,
      };
      const final = index === numLayers - 1 && output.positions === "last";
      const layer: RecurrentLayer | BidirectionalLayer = bidirectional
        ? new BidirectionalLayer(planner, cell, layerOptions, final)
        : new RecurrentLayer(planner, cell, layerOptions);
      recurrent.push(...(layer instanceof BidirectionalLayer ? layer.directions : [layer]));
      let stream = layer.output; // before norm and dropout
      if (options.residual && index > 0) {
        const residual = new Residual(planner, `residual.l${index}`, width, [...between, layer]);
        layers.push(residual);
        stream = residual.output;
      } else layers.push(...between, layer);
      between = [];
      x = stream;
      if (options.layerNorm) {
        const norm = new LayerNorm(planner, `norm.l${index}`, width);
        between.push(norm);
        x = norm.output;
      }
      if (dropout > 0) {
        const mask = new Dropout(planner, `dropout.l${index}`, width, dropout, dropoutKind);
        between.push(mask);
        x = mask.output;
      }
    }
    layers.push(...between);
    return { layers, output: x as Rows, recurrent, context: 1 };
  },
};

function checkDropout(options: NetOptions, cell: Cell, input: Input): void {
  const { inputDropout = 0, dropoutKind = "element" } = options;
  check(DROPOUT_KINDS.includes(dropoutKind), `dropoutKind is ${dropoutKind}; use one of: ${DROPOUT_KINDS.join(", ")}.`);
  for (const name of ["dropout", "inputDropout", "recurrentDropout"] as const) {
    const { [name]: share = 0 } = options;
    check(share >= 0 && share < 1, `${name} is ${share}; give a number from 0 up to, not including, 1.`);
  }
  check(
    inputDropout === 0 || !(input instanceof OneHot),
    "inputDropout drops from the rows of an embedding or from features, and this model reads one-hot tokens. Give it an embedding, or inputDropout 0.",
  );
  check(
    !options.recurrentDropout || cell.hiddenProduct !== "none",
    `recurrentDropout drops from what U sees, and a ${cell.name} has no hidden product. Use recurrentDropout 0.`,
  );
}
