/** Writes configs/config.schema.json, for editors, from the schema that checks configurations: node scripts/config-schema.mjs */
import { writeFileSync } from "node:fs";
import { configJsonSchema } from "../dist/runs/config-schema.js";

const file = new URL("../configs/config.schema.json", import.meta.url);
writeFileSync(file, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
