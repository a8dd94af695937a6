/** The configuration's schema for editors: configs/config.schema.json is this, written by scripts/config-schema.mjs. */
import { z } from "zod";
import { runConfigSchema } from "./config.ts";

/** JSON Schema, draft 2020-12, of what may be given. Rules between settings (maxSteps or maxEpochs) it does not tell. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(runConfigSchema, { io: "input" });
  return {
    ...schema,
    title: "A run of Gatesieve",
    description: "gatesieve train FILE; keys and defaults: docs/cli.md",
  };
}
