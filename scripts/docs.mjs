// The reference of all public names, as pages: npm run docs [-- FOLDER], build/docs if none is named.
// typedoc 0.28 needs TypeScript 5 or 6 beside it, and the project has 7: both come by npx, in no dependency.
import { spawnSync } from "node:child_process";

const out = process.argv[2] ?? "build/docs";
const packages = ["typedoc@0.28", "typescript@5.9"].flatMap((name) => ["--package", name]);
const { status } = spawnSync("npx", ["--yes", ...packages, "typedoc", "--options", "typedoc.json", "--out", out], {
  stdio: "inherit",
});
process.exit(status ?? 1);
