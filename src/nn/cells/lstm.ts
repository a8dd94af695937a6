/**
 * LSTM, without peepholes. Gate order i, f, g, o (PyTorch's).
 *
 *   forward                          backward, dh complete, dc flowing from t+1
 *   i = sigmoid(net_i)               dc    += dh o (1 - tanh^2 c)
 *   f = sigmoid(net_f)               net_i' = dc g i (1 - i)
 *   g = tanh(net_g)                  net_f' = dc c_{t-1} f (1 - f)
 *   o = sigmoid(net_o)               net_g' = dc i (1 - g^2)
 *   c = f c_{t-1} + i g              net_o' = dh tanh(c) o (1 - o)
 *   h = o tanh(c)                    dc     = dc f, flowing into t-1
 *
 * Derivation: docs/backward.md.
 */
import type { CellStep } from "../../kernels/kernels.ts";
import type { Cell } from "../cell.ts";
import { sigmoid } from "./sigmoid.ts";

export const lstm: Cell = {
  name: "lstm",
  gates: ["i", "f", "g", "o"],
  states: ["c"],
  keeps: ["tanhC"],
  hiddenProduct: "shared",
  carriesH: false,
  saturates: "tanhC",
  forgetGate: 1,
  remembers: { f: 1, i: -1 },

  forward({ row, hRow, rows, hidden: H, gates, h, states, keeps }: CellStep): void {
    const [net, hs, cs, tanhCs] = [gates.data, h.data, states[0]!.data, keeps[0]!.data];
    for (let r = row; r < row + rows; r++)
      for (let n = 0; n < H; n++) {
        const at = r * 4 * H + n;
        const i = sigmoid(net[at]!);
        const f = sigmoid(net[at + H]!);
        const g = Math.tanh(net[at + 2 * H]!);
        const o = sigmoid(net[at + 3 * H]!);
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
        gate[at] = dc * g * i * (1 - i);
        gate[at + H] = dc * cs[r * H + n]! * f * (1 - f);
        gate[at + 2 * H] = dc * i * (1 - g * g);
        gate[at + 3 * H] = dh * tanhC * o * (1 - o);
        dcs[here] = dc * f;
      }
  },
};
