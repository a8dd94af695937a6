/**
 * bf16, the upper half of a float32: 8 bits of exponent, 8 of mantissa (7 stored). Forward products may take operands
 * rounded to it and sum in float32 (WeightUses.nt = "bf16"), on engines that can.
 */
import { check } from "../core/check.ts";
import type { Engine, WeightUses } from "./kernels.ts";

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** x rounded to the nearest bf16, ties to even; denormals become 0, as AVX512-BF16 has it. */
export function toBf16(x: number): number {
  float[0] = x;
  const exact = bits[0] as number;
  if ((exact & 0x7f800000) === 0) bits[0] = exact & 0x80000000;
  else if (!Number.isNaN(x)) bits[0] = (exact + 0x7fff + ((exact >>> 16) & 1)) & 0xffff0000;
  return float[0] as number;
}

/** Refuses bf16 products where the engine has none; `needs`: what would have them. */
export function checkBf16({ name, isa }: Engine, uses: WeightUses, able: boolean, needs: string): void {
  check(
    uses.nt !== "bf16" || able,
    `model.forward is bf16, and engine ${name} (${isa}) has no products on bf16 operands: they need ${needs}. ` +
      "Use model.forward=f32, or engine js, which is slow.",
  );
}
