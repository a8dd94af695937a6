/** Cells whose pointwise part `wasm` and `native` have under the same names, with the same arguments. */
import { at } from "./by-address.ts";
import type { CellKernel } from "./kernels.ts";
import type { WasmExports } from "./wasm-exports.ts";

export type CellCalls = Pick<WasmExports, "rnnForward" | "rnnBackward" | "mingruForward" | "mingruBackward">;

/** `calls`: once the arena is allocated. */
export function addressCells(calls: () => CellCalls): { readonly rnn: CellKernel; readonly mingru: CellKernel } {
  return {
    rnn: {
      forward({ row, hRow, rows, hidden: H, gates, h }) {
        calls().rnnForward(rows, H, at(gates, row, H), at(h, hRow + rows, H));
      },
      backward({ row, rows, hidden: H, gates, dh }) {
        calls().rnnBackward(rows, H, at(gates, row, H), dh.ptr);
      },
    },
    mingru: {
      forward({ row, hRow, rows, hidden: H, gates, h }) {
        calls().mingruForward(rows, H, at(gates, row, 2 * H), at(h, hRow, H), at(h, hRow + rows, H));
      },
      backward({ row, hRow, rows, hidden: H, gates, h, dh }) {
        calls().mingruBackward(rows, H, at(gates, row, 2 * H), at(h, hRow, H), dh.ptr);
      },
    },
  };
}
