/** Trainings made for a page: the built command line, and the runs that a folder holds. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const cli = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Runs of a folder that came to their end, newest first, as `gatesieve runs --json` tells them. */
export function finishedRuns(folder) {
  const { stdout } = spawnSync(process.execPath, [cli, "runs", "--runs", folder, "--json"], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter(({ testLoss }) => testLoss !== null);
}

/** One call to its end; what it says on stderr is shown. An error of ours if it fails. */
export function gatesieve(args, environment = {}) {
  const { status } = spawnSync(process.execPath, [cli, ...args], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0)
    throw Object.assign(new Error(`gatesieve ${args.join(" ")}: exit code ${status}; its error is above`), {
      exitCode: 1,
    });
}
