/**
 * minGRU (Feng et al. 2024, arXiv 2410.01201): gates that see x alone, so there is no hidden product, and what flows
 * back in time goes through no matrix. Gate order z, h~; h' is h of t-1.
 *
 *   forward                    backward, dh complete
 *   z  = sigmoid(net_z)        net_z' = dh (h~ - h') z (1 - z)
 *   h~ = net_h                 net_h' = dh z
 *   h  = (1 - z) h' + z h~     dh     = dh (1 - z), flowing into t-1
 *
 * Derivation: docs/backward.md.
 */
import type { CellStep } from "../../kernels/kernels.ts";
import type { Cell } from "../cell.ts";
import { sigmoid } from "./sigmoid.ts";

export const mingru: Cell = {
  name: "mingru",
  gates: ["z", "h"],
  states: [],
  keeps: [],
  hiddenProduct: "none",
  carriesH: true,
  remembers: { z: -1 },

  forward({ row, hRow, rows, hidden: H, gates, h }: CellStep): void {
    const [net, hs] = [gates.data, h.data];
    for (let b = 0; b < rows; b++)
      for (let k = 0; k < H; k++) {
        const at = (row + b) * 2 * H + k;
        const z = sigmoid(net[at]!);
        const before = (hRow + b) * H + k;
        hs[before + rows * H] = (1 - z) * hs[before]! + z * net[at + H]!;
        net[at] = z;
      }
  },

  backward({ row, hRow, rows, hidden: H, gates, h, dh: dhs }: CellStep): void {
    const [gate, hs, dhData] = [gates.data, h.data, dhs.data];
    for (let b = 0; b < rows; b++)
      for (let k = 0; k < H; k++) {
        const at = (row + b) * 2 * H + k;
        const [z, candidate] = [gate[at]!, gate[at + H]!];
        const dh = dhData[b * H + k]!;
        gate[at] = dh * (candidate - hs[(hRow + b) * H + k]!) * z * (1 - z);
        gate[at + H] = dh * z;
        dhData[b * H + k] = dh * (1 - z);
      }
  },
};
