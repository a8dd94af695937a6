/** dense: keep all. Natural zeros are counted; products run dense. */
import type { PolicyEntry } from "../policy.ts";
import { stateless } from "./stateless.ts";

export const dense: PolicyEntry = {
  summary: "keep every gate gradient",
  start: () =>
    stateless((_step, out) => {
      out.kind = "keep";
    }),
};
