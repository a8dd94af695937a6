/** Where names go beside points so that no two of them lie on one another. */

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Anchor {
  readonly x: number;
  readonly y: number;
  /** Of its name, in px. */
  readonly width: number;
}

const HEIGHT = 14; // of a name, px
/** Half a mark with some air, px: names keep off all marks. */
const MARK = 6;
const DISTANCES = [8, 14, 22, 34, 50, 70, 94, 122, 154];
/** Right and left first: names there read as the point's own. */
const DIRECTIONS = [
  [1, 0],
  [-1, 0],
  [0.8, -0.8],
  [0.8, 0.8],
  [-0.8, -0.8],
  [-0.8, 0.8],
  [0, -1],
  [0, 1],
] as const;

/**
 * A box for each anchor's name within `inside`, off all marks, all other names and what is `taken`, off
 * `lines` too where there is room; undefined where there is none. Nearer places come first.
 */
export function placeLabels(
  anchors: readonly Anchor[],
  inside: Box,
  lines: readonly Box[] = [],
  taken: readonly Box[] = [],
): (Box | undefined)[] {
  const marks = anchors.map(({ x, y }) => ({ x: x - MARK, y: y - MARK, width: 2 * MARK, height: 2 * MARK }));
  const placed: Box[] = [...taken];
  return anchors.map((anchor) => {
    const free = places(anchor).filter(
      (box) => contains(inside, box) && ![...marks, ...placed].some((other) => overlap(box, other)),
    );
    const box = free.find((each) => !lines.some((line) => overlap(each, line))) ?? free[0];
    if (box) placed.push(box);
    return box;
  });
}

function places({ x, y, width }: Anchor): Box[] {
  return DISTANCES.flatMap((distance) =>
    DIRECTIONS.map(([right, down]) => {
      const [atX, atY] = [x + right * distance, y + down * distance];
      const left = right > 0 ? atX : right < 0 ? atX - width : atX - width / 2;
      const top = down > 0 ? atY : down < 0 ? atY - HEIGHT : atY - HEIGHT / 2;
      return { x: left, y: top, width, height: HEIGHT };
    }),
  );
}

export function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function contains(outer: Box, inner: Box): boolean {
  return (
    inner.x >= outer.x &&
    inner.y >= outer.y &&
    inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height
  );
}
