/**
 * GRU, reset after the product (PyTorch's, cuDNN's and Keras' default). Gate order r, z, n. net = x W^T + b_ih is in
 * `gates`, hid = h' U^T + b_hh in `hiddenGates`; h' is h of t-1.
 *
 *   forward                          backward, dh complete
 *   r = sigmoid(net_r + hid_r)       net_n' = dh (1 - z) (1 - n^2)
 *   z = sigmoid(net_z + hid_z)       net_z' = dh (h' - n) z (1 - z)
 *   n = tanh(net_n + r hid_n)        net_r' = net_n' hid_n r (1 - r)
 *   h = (1 - z) n + z h'             dh     = dh z, flowing into t-1 beside the product
 *
 * U sees net_r', net_z' and, of hid_n, hid_n' = net_n' r: of what the rule left of net_n'. net_r' sees the undropped one.
 *
 * Derivation: docs/backward.md.
 */
import type { Tensor } from "../../core/arena.ts";
import type { CellStep } from "../../kernels/kernels.ts";
import type { Cell } from "../cell.ts";
import { sigmoid } from "./sigmoid.ts";

export const gru: Cell = {
  name: "gru",
  gates: ["r", "z", "n"],
  states: [],
  keeps: ["r"], // for dHidden: net_r' overwrites it in `gates`
  hiddenProduct: "apart",
  carriesH: true,
  saturates: "n",
  remembers: { z: 1 },

  forward({ row, hRow, rows, hidden: H, gates, hiddenGates, h, keeps }: CellStep): void {
    const [net, hid, hs, rs] = [gates.data, hiddenGates!.data, h.data, keeps[0]!.data];
    for (let b = 0; b < rows; b++)
      for (let k = 0; k < H; k++) {
        const at = (row + b) * 3 * H + k;
        const r = sigmoid(net[at]! + hid[at]!);
        const z = sigmoid(net[at + H]! + hid[at + H]!);
        const n = Math.tanh(net[at + 2 * H]! + r * hid[at + 2 * H]!);
        const before = (hRow + b) * H + k;
        hs[before + rows * H] = (1 - z) * n + z * hs[before]!;
        net[at] = r;
        net[at + H] = z;
        net[at + 2 * H] = n;
        rs[(row + b) * H + k] = r;
      }
  },

  backward({ row, hRow, rows, hidden: H, gates, hiddenGates, h, dh: dhs }: CellStep): void {
    const [gate, hid, hs, dhData] = [gates.data, hiddenGates!.data, h.data, dhs.data];
    for (let b = 0; b < rows; b++)
      for (let k = 0; k < H; k++) {
        const at = (row + b) * 3 * H + k;
        const [r, z, n] = [gate[at]!, gate[at + H]!, gate[at + 2 * H]!];
        const dh = dhData[b * H + k]!;
        const dn = dh * (1 - z) * (1 - n * n);
        gate[at] = dn * hid[at + 2 * H]! * r * (1 - r);
        gate[at + H] = dh * (hs[(hRow + b) * H + k]! - n) * z * (1 - z);
        gate[at + 2 * H] = dn;
        dhData[b * H + k] = dh * z;
      }
  },

  dHidden({ row, rows, hidden: H, keeps }: CellStep, left: Tensor, leftRow: number, out: Tensor, outRow: number): void {
    const [from, to, rs] = [left.data, out.data, keeps[0]!.data];
    for (let b = 0; b < rows; b++)
      for (let k = 0; k < H; k++) {
        const at = (leftRow + b) * 3 * H + k;
        const target = (outRow + b) * 3 * H + k;
        to[target] = from[at]!;
        to[target + H] = from[at + H]!;
        to[target + 2 * H] = from[at + 2 * H]! * rs[(row + b) * H + k]!;
      }
  },
};
