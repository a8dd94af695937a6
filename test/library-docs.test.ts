/** docs/library.md shows only code that runs: each block is a piece of the file named last above it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");

test("every block of code is cut from the file it names", () => {
  let file = "";
  let blocks = 0;
  for (const [, link, block] of read("../docs/library.md").matchAll(/\]\((\.\.\/[^)]+)\)|```\w+\n(.*?)\n```/gs)) {
    if (link) file = link;
    else {
      expect(read(file), `${file} has no longer what docs/library.md shows`).toContain(block);
      blocks++;
    }
  }
  expect(blocks).toBeGreaterThan(8);
});
