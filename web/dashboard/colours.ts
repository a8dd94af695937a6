/** One colour a run, the same in table, curves and settings: Okabe and Ito's, told apart by most eyes, on light and dark. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a00", "#7a5195"];

export const colourOf = (index: number): string => COLOURS[index % COLOURS.length] as string;
