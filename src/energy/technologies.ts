/** The table of technologies. A figure without a paper behind it is called an assumption. */
import { choose } from "../core/check.ts";
import type { Figure, Standing, Technology } from "./technology.ts";

const HOROWITZ = "M. Horowitz, Computing's energy problem, ISSCC 2014: 45 nm, 0.9 V";
const ALADDIN = "Y. S. Shao et al., Aladdin, ISCA 2014; tables of gem5-aladdin and Accelergy's plug-in, 40 nm, 1 ns";
const TPU = "N. Jouppi et al., Ten Lessons From Three Generations Shaped Google's TPUv4i, ISCA 2021, table 2: 7 nm";
const EIE = "S. Han et al., EIE, ISCA 2016: a PE of 0.638 mm2 at 45 nm, 162 KB of SRAM, all of it counted as memory";
const FGDRAM = "M. O'Connor et al., Fine-Grained DRAM, MICRO 2017: HBM2 at about 3.9 pJ a bit";
const SCALED = "scaled from 40 nm by the ratio of float32 multiply and add, (1.31 + 0.38) / (3.7 + 0.9) = 0.37";
const SHRUNK = "scaled from 45 nm by the ratio of SRAM cells, 0.027 / 0.346 square micrometres = 0.078";

function figure(value: number, low: number, high: number, source: string, standing: Standing = "cited"): Figure {
  return { value, low, high, source, standing };
}

const ALADDIN_PARTS = {
  registerPJ: figure(0.288, 0.288, 0.58, `${ALADDIN}: 0.009 pJ a bit; high: twice that, for the clock`),
  comparePJ: figure(0.0295, 0.0295, 0.21, `${ALADDIN}: comparator; high: its adder`),
  indexPJ: figure(0.21, 0.1, 0.21, `${ALADDIN}: adder; low: ${HOROWITZ}`),
  registerUm2: figure(5.98, 4.5, 7.5, `${ALADDIN}; range assumed`),
  compareUm2: figure(71, 71, 278, `${ALADDIN}: comparator; high: its adder`),
  indexUm2: figure(278, 137, 278, `${ALADDIN}: adder; low: 32-bit adder of 137 square micrometres in Horowitz's table`),
};

export const TECHNOLOGIES: Readonly<Record<string, Technology>> = {
  "horowitz-45": {
    name: "horowitz-45",
    summary: "45 nm, the table most papers use; what it lacks from Aladdin at 40 nm",
    ...ALADDIN_PARTS,
    macPJ: figure(4.6, 4.6, 32.3, `${HOROWITZ}: multiply 3.7, add 0.9; high: Accelergy's Aladdin table, 24.4 + 7.9`),
    sram: [
      { bytes: 8 * 1024, wordPJ: figure(5, 2.5, 5, `${HOROWITZ}: 10 pJ per 64 bits; low assumed: half`) },
      { bytes: 32 * 1024, wordPJ: figure(10, 5, 10, `${HOROWITZ}: 20 pJ per 64 bits; low assumed: half`) },
      { bytes: 1024 * 1024, wordPJ: figure(50, 25, 50, `${HOROWITZ}: 100 pJ per 64 bits; low assumed: half`) },
    ],
    dramPJ: figure(650, 125, 1300, `${HOROWITZ}: 1.3 to 2.6 nJ per 64 bits; low: ${FGDRAM}`),
    macUm2: figure(
      11_884,
      11_884,
      13_330,
      `Horowitz's table: 7700 + 4184 at 45 nm; high: ${ALADDIN}, 8970 + 4360`,
      "cited",
    ),
    sramUm2: figure(
      0.48,
      0.35,
      1.2,
      `${EIE}; low: the cell alone, 0.346; high: 600 squares of 45 nm, rule of thumb`,
      "cited",
    ),
  },
  "aladdin-40": {
    name: "aladdin-40",
    summary: "40 nm, arithmetic of Aladdin and Accelergy, five to seven times Horowitz's; memory as there",
    ...ALADDIN_PARTS,
    macPJ: figure(32.3, 4.6, 52, `${ALADDIN}: Accelergy, 24.4 + 7.9; high: 35.3 + 16.7 over three cycles`),
    sram: [
      { bytes: 8 * 1024, wordPJ: figure(5, 2.5, 5, `${HOROWITZ}; low assumed: half`) },
      { bytes: 32 * 1024, wordPJ: figure(10, 5, 10, `${HOROWITZ}; low assumed: half`) },
      { bytes: 1024 * 1024, wordPJ: figure(50, 25, 50, `${HOROWITZ}; low assumed: half`) },
    ],
    dramPJ: figure(650, 125, 1300, `${HOROWITZ}; low: ${FGDRAM}`),
    macUm2: figure(13_330, 11_884, 13_330, `${ALADDIN}: 8970 + 4360`),
    sramUm2: figure(0.48, 0.35, 1.2, EIE, "cited"),
  },
  "tpu-7": {
    name: "tpu-7",
    summary: "7 nm: arithmetic shrank more than memory; what the paper does not list is scaled",
    macPJ: figure(1.69, 1.3, 2.6, `${TPU}: multiply 1.31, add 0.38; range assumed`, "cited"),
    registerPJ: figure(0.107, 0.05, 0.21, `${ALADDIN}, ${SCALED}`, "assumption"),
    comparePJ: figure(0.011, 0.011, 0.078, `${ALADDIN}, ${SCALED}`, "assumption"),
    indexPJ: figure(0.03, 0.03, 0.078, `${TPU}: 32-bit integer add; high: ${ALADDIN}, ${SCALED}`, "cited"),
    sram: [
      { bytes: 8 * 1024, wordPJ: figure(3.75, 1.9, 3.75, `${TPU}: 7.5 pJ per 64 bits; low assumed: half`, "cited") },
      { bytes: 32 * 1024, wordPJ: figure(4.25, 2.1, 4.25, `${TPU}: 8.5 pJ per 64 bits; low assumed: half`, "cited") },
      { bytes: 1024 * 1024, wordPJ: figure(7, 3.5, 7, `${TPU}: 14 pJ per 64 bits; low assumed: half`, "cited") },
    ],
    dramPJ: figure(175, 125, 650, `${TPU}: HBM2, 250 to 450 pJ per 64 bits; low: ${FGDRAM}; high: DDR, 1300`, "cited"),
    macUm2: figure(927, 500, 1400, `Horowitz's 11884, ${SHRUNK}`, "assumption"),
    registerUm2: figure(0.47, 0.3, 0.7, `${ALADDIN}, ${SHRUNK}`, "assumption"),
    sramUm2: figure(0.037, 0.027, 0.08, `${EIE}, ${SHRUNK}`, "assumption"),
    compareUm2: figure(5.5, 5.5, 22, `${ALADDIN}, ${SHRUNK}`, "assumption"),
    indexUm2: figure(22, 11, 22, `${ALADDIN}, ${SHRUNK}`, "assumption"),
  },
};

export const DEFAULT_TECHNOLOGY = "horowitz-45";

/** Throws a `UsageError` with the choices for a name that is in no table. */
export function technologyOf(name: string): Technology {
  return choose("technology", name, TECHNOLOGIES);
}
