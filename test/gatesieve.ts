/** The built command line as a user meets it, in a folder of its own: every call is a process of its own. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

export const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `folder` is removed after the file's tests; `env` is ours without colours. */
export function commandLineIn(name: string) {
  const folder = mkdtempSync(join(tmpdir(), `gatesieve-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const { FORCE_COLOR: _, ...environment } = process.env;
  const env = { ...environment, NO_COLOR: "1", GATESIEVE_DATA: join(folder, "data") };
  const gatesieve = (...args: readonly string[]): Result => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
      cwd: folder,
      encoding: "utf8",
      env,
    });
    return { status, stdout, stderr };
  };
  return { folder, env, gatesieve };
}
