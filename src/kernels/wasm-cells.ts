/** Pointwise parts of cells on engine wasm: assembly/{lstm,gru,rnn}.ts by address. */
import type { Tensor } from "../core/arena.ts";
import { at } from "./by-address.ts";
import { addressCells } from "./by-address-cells.ts";
import type { CellKernel } from "./kernels.ts";
import type { WasmExports } from "./wasm-exports.ts";

/** `calls`, `scratch` (address of each thread's): once the arena is allocated. */
export function wasmCells(calls: () => WasmExports, scratch: () => number): Readonly<Record<string, CellKernel>> {
  return {
    ...addressCells(calls),
    lstm: {
      forward({ row, hRow, rows, hidden: H, gates, h, states, keeps }) {
        const c = states[0] as Tensor;
        calls().lstmForward(
          rows,
          H,
          at(gates, row, 4 * H),
          at(c, row, H),
          at(c, row + rows, H),
          at(h, hRow + rows, H),
          at(keeps[0] as Tensor, row, H),
        );
      },
      backward({ row, rows, hidden: H, gates, states, keeps, dh, dStates }) {
        calls().lstmBackward(
          rows,
          H,
          at(gates, row, 4 * H),
          at(states[0] as Tensor, row, H),
          at(keeps[0] as Tensor, row, H),
          dh.ptr,
          (dStates[0] as Tensor).ptr,
          scratch(),
        );
      },
    },
    gru: {
      forward({ row, hRow, rows, hidden: H, gates, hiddenGates, h, keeps }) {
        calls().gruForward(
          rows,
          H,
          at(gates, row, 3 * H),
          at(hiddenGates as Tensor, row, 3 * H),
          at(h, hRow, H),
          at(h, hRow + rows, H),
          at(keeps[0] as Tensor, row, H),
        );
      },
      backward({ row, hRow, rows, hidden: H, gates, hiddenGates, h, dh }) {
        const products = at(hiddenGates as Tensor, row, 3 * H);
        calls().gruBackward(rows, H, at(gates, row, 3 * H), products, at(h, hRow, H), dh.ptr);
      },
      dHidden({ row, rows, hidden: H, keeps }, left, leftRow, out, outRow) {
        const kept = at(keeps[0] as Tensor, row, H);
        calls().gruHidden(rows, H, at(left, leftRow, 3 * H), kept, at(out, outRow, 3 * H));
      },
    },
  };
}
