/**
 * The LSTM of lstm.ts with hard sigmoids as its gates. Not in the table of cells: PyTorch has none, and new models are no
 * better for it. It is here for models of Keras and TensorFlow.js, whose older default it is.
 */
import type { CellStep } from "../../kernels/kernels.ts";
import type { Cell } from "../cell.ts";
import { hardSigmoid } from "./gates.ts";
import { lstm } from "./lstm.ts";

const { of, slope } = hardSigmoid;

export const hardLstm: Cell = {
  ...lstm,
  name: "hard-lstm",

  forward({ row, hRow, rows, hidden: H, gates, h, states, keeps }: CellStep): void {
    const [net, hs, cs, tanhCs] = [gates.data, h.data, states[0]!.data, keeps[0]!.data];
    for (let r = row; r < row + rows; r++)
      for (let n = 0; n < H; n++) {
        const at = r * 4 * H + n;
        const i = of(net[at]!);
        const f = of(net[at + H]!);
        const g = Math.tanh(net[at + 2 * H]!);
        const o = of(net[at + 3 * H]!);
        const next = (r + rows) * H + n; // t, where r*H + n is t - 1
        cs[next] = f * cs[r * H + n]! + i * g;
        const tanhC = Math.tanh(cs[next]!);
        hs[next + (hRow - row) * H] = o * tanhC;
        tanhCs[r * H + n] = tanhC;
        net[at] = i;
        net[at + H] = f;
        net[at + 2 * H] = g;
        net[at + 3 * H] = o;
      }
  },

  backward({ row, rows, hidden: H, gates, states, keeps, dh: dhs, dStates }: CellStep): void {
    const [gate, cs, tanhCs, dhData, dcs] = [gates.data, states[0]!.data, keeps[0]!.data, dhs.data, dStates[0]!.data];
    for (let r = row; r < row + rows; r++)
      for (let n = 0; n < H; n++) {
        const at = r * 4 * H + n;
        const [i, f, g, o] = [gate[at]!, gate[at + H]!, gate[at + 2 * H]!, gate[at + 3 * H]!];
        const here = (r - row) * H + n;
        const dh = dhData[here]!;
        const tanhC = tanhCs[r * H + n]!;
        const dc = dcs[here]! + dh * o * (1 - tanhC * tanhC);
        gate[at] = dc * g * slope(i);
        gate[at + H] = dc * cs[r * H + n]! * slope(f);
        gate[at + 2 * H] = dc * i * (1 - g * g);
        gate[at + 3 * H] = dh * tanhC * slope(o);
        dcs[here] = dc * f;
      }
  },
};
