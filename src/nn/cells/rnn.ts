/**
 * The plain recurrent net (Elman's), tanh; PyTorch's nn.RNN. Its one gate is h itself.
 *
 *   forward            backward, dh complete
 *   h = tanh(net)      net' = dh (1 - h^2)
 *
 * Derivation: docs/backward.md.
 */
import type { CellStep } from "../../kernels/kernels.ts";
import type { Cell } from "../cell.ts";

export const rnn: Cell = {
  name: "rnn",
  gates: ["h"],
  states: [],
  keeps: [],
  hiddenProduct: "shared",
  carriesH: false,
  saturates: "h",

  forward({ row, hRow, rows, hidden: H, gates, h }: CellStep): void {
    const [net, hs] = [gates.data, h.data];
    const next = (hRow + rows) * H;
    for (let i = 0; i < rows * H; i++) {
      const y = Math.tanh(net[row * H + i]!);
      net[row * H + i] = y;
      hs[next + i] = y;
    }
  },

  backward({ row, rows, hidden: H, gates, dh }: CellStep): void {
    const gate = gates.data;
    for (let i = 0; i < rows * H; i++) {
      const y = gate[row * H + i]!;
      gate[row * H + i] = dh.data[i]! * (1 - y * y);
    }
  },
};
