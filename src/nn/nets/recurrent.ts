/** Recurrent layers of one cell, in one or both directions; between them, and before the head, norm and dropout. */
import { check, choose } from "../../core/check.ts";
import { BidirectionalLayer } from "../bidirectional.ts";
import type { Cell } from "../cell.ts";
import { cells } from "../cells.ts";
import { DROPOUT_KINDS, Dropout } from "../dropout.ts";
import { LayerNorm } from "../layer-norm.ts";
import { type Input, type Module, OneHot, type Rows } from "../module.ts";
import type { Net, NetOptions } from "../net.ts";
import { RecurrentLayer, type RecurrentOptions } from "../recurrent.ts";
import { Residual } from "../residual.ts";

export const recurrentNet: Net = {
  summary: "layers of an LSTM, GRU or other cell, one time step after another",
  refuses: ["activation", "numHeads", "dimFeedforward", "positions"],
  build(planner, { input, below, output, options, recompute }) {
    const { cell: name = "lstm", hiddenSize, numLayers, bidirectional, forgetBias = 1, chronoInit = 0 } = options;
    const { dropout = 0, inputDropout = 0, recurrentDropout = 0, dropoutKind = "element" } = options;
    const cell: Cell = choose("cell", name, cells);
    checkDropout(options, input, cell);
    // In a plain stack nobody reads dy after the module that was given it: dx takes its place. Both directions read one dy,
    // and a residual adds it once more.
    const dyRoom = bidirectional || options.residual ? undefined : "dy";
    checkChrono(chronoInit, cell);
    const layers: Module[] = [];
    const recurrent: RecurrentLayer[] = [];
    let between: Module[] = []; // norm and dropout of what a layer gave, which the next one reads
    let x = input;
    if (inputDropout > 0) {
      const mask = new Dropout(planner, "dropout.input", (x as Rows).tensor.rowLength, inputDropout, dropoutKind);
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
        chronoInit,
        needsInputGradient: below > 0 || index > 0,
        recurrentDropout,
        segment: recompute,
        dyRoom,
      };
      const final = index === numLayers - 1 && output.positions === "last";
      const layer: RecurrentLayer | BidirectionalLayer = bidirectional
        ? new BidirectionalLayer(planner, cell, layerOptions, final)
        : new RecurrentLayer(planner, cell, layerOptions);
      recurrent.push(...(layer instanceof BidirectionalLayer ? layer.directions : [layer]));
      const width = layer.output.tensor.rowLength;
      if (options.residual && index > 0) {
        const residual = new Residual(
          planner,
          `residual.l${index}`,
          width,
          [...between, layer],
          bidirectional && final,
        );
        layers.push(residual);
        x = residual.output;
      } else {
        layers.push(...between, layer);
        x = layer.output;
      }
      between = [];
      if (options.layerNorm) {
        const norm = new LayerNorm(planner, `norm.l${index}`, width);
        between.push(norm);
        x = norm.output;
      }
      if (dropout > 0) {
        const mask = new Dropout(planner, `dropout.l${index}`, width, dropout, dropoutKind, dyRoom);
        between.push(mask);
        x = mask.output;
      }
    }
    return { layers: [...layers, ...between], output: x as Rows, recurrent, dyRoom, context: 1 };
  },
};

function checkChrono(steps: number, cell: Cell): void {
  check(
    steps === 0 || (Number.isInteger(steps) && steps >= 3),
    `chronoInit is ${steps}; give the most time steps that units are to remember, 3 or more, or 0.`,
  );
  check(
    steps === 0 || cell.remembers !== undefined,
    `chronoInit draws biases of the gates that forget, and a ${cell.name} has none. Use chronoInit 0.`,
  );
}

function checkDropout(options: NetOptions, input: Input, cell: Cell): void {
  const { inputDropout = 0, dropoutKind = "element", recurrentDropout = 0 } = options;
  choose("dropoutKind", dropoutKind, Object.fromEntries(DROPOUT_KINDS.map((kind) => [kind, kind])));
  for (const name of ["dropout", "inputDropout", "recurrentDropout"] as const) {
    const { [name]: share = 0 } = options;
    check(share >= 0 && share < 1, `${name} is ${share}; give a number from 0 up to, not including, 1.`);
  }
  check(
    inputDropout === 0 || !(input instanceof OneHot),
    "inputDropout drops from the rows of an embedding or from features, and this model reads one-hot tokens. Give it an embedding, or inputDropout 0.",
  );
  check(
    recurrentDropout === 0 || cell.hiddenProduct !== "none",
    `recurrentDropout drops from what U sees, and a ${cell.name} has no hidden product. Use recurrentDropout 0.`,
  );
}
