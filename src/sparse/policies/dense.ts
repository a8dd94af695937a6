/** dense: keep all. Natural zeros are counted; products run dense. */
import type { PolicyEntry } from "../policy.ts";

export const dense: PolicyEntry = {
  summary: "keep every gate gradient",
  create: () => ({
    name: "dense",
    start: () => ({
      plan(_step, out) {
        out.kind = "keep";
      },
      learn() {},
      save: () => [],
      load() {},
    }),
  }),
};
