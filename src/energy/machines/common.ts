/** What all built machines have alike, so that they differ in their design alone: ours, not anybody's product. */
export const COMMON = {
  clockGHz: 1,
  sramBytes: 4 * 2 ** 20,
  bankBytes: 64 * 2 ** 10,
  dramGBs: 64,
  vectorLanes: 256,
  overhead: null,
} as const;
