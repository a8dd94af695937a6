/** A user's machine or technology: what docs/accelerator.md shows is read, what cannot be is refused in one line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { checkMachine } from "../energy/machine.ts";
import { MACHINES } from "../energy/machines.ts";
import { TECHNOLOGIES } from "../energy/technologies.ts";
import { readMachine, readTechnology } from "./energy-file.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-energy-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const text = readFileSync(fileURLToPath(new URL("../../docs/accelerator.md", import.meta.url)), "utf8");
const [machine = "", technology = ""] = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => yaml as string);
const file = (content: string) => {
  const path = join(folder, "x.yaml");
  writeFileSync(path, content);
  return path;
};

test("the document's examples, and every machine and technology of the tables as a file, are read", () => {
  expect(readMachine(file(machine))).toMatchObject({
    name: "narrow",
    design: { kind: "lanes", steal: false },
    overhead: null,
  });
  expect(readTechnology(file(technology)).macPJ).toEqual({
    value: 4.6,
    low: 4.6,
    high: 32,
    source: "Horowitz, ISSCC 2014",
    standing: "cited",
  });
  for (const each of Object.values(MACHINES)) {
    expect(readMachine(file(JSON.stringify(each)))).toEqual(each);
    expect(readMachine(each.name)).toBe(each);
  }
  for (const each of Object.values(TECHNOLOGIES)) expect(readTechnology(file(JSON.stringify(each)))).toEqual(each);
});

test.each([
  ["a missing figure", machine.replace(/^clockGHz.*\n/m, ""), /x\.yaml: clockGHz: .*docs\/accelerator\.md/],
  ["a negative figure", machine.replace(/sramBytes: \d+/, "sramBytes: -1"), /sramBytes of machine narrow is -1/],
  ["an unknown key", `${machine}teleport: 1\n`, /teleport/],
  ["an unknown kind", machine.replace("kind: lanes", "kind: quantum"), /design\.kind/],
  ["no source", machine.replace(/sources: .*/, "sources: []"), /machine narrow has no source/],
  ["no mapping", "- 1", /the file: /],
  ["no YAML", "a: [", /cannot be read/],
])("a machine with %s is refused", (_, content, message) => {
  expect(() => readMachine(file(content))).toThrow(UsageError);
  expect(() => readMachine(file(content))).toThrow(message);
});

test.each([
  ["an unknown action", `${technology}teleportPJ: { value: 1, source: x }\n`, /teleportPJ/],
  ["a missing action", technology.replace(/^macPJ.*\n/m, ""), /macPJ/],
  [
    "a negative energy",
    technology.replace("value: 640, low: 125", "value: -640, low: -700"),
    /dramPJ of technology example/,
  ],
  ["a source left empty", technology.replace(/source: "[^"]*"/, 'source: ""'), /has no source/],
  ["no memory", technology.replace(/sram:.*/s, "sram: []"), /technology example has no sram/],
])("a technology with %s is refused", (_, content, message) => {
  expect(() => readTechnology(file(content))).toThrow(UsageError);
  expect(() => readTechnology(file(content))).toThrow(message);
});

test.each([
  ["fifo: 64", "fifoo: 64", /unknown key "design.fifoo", did you mean "fifo"\?/],
  ["clockGHz: 1\n", "", /clockGHz: got nothing, expected a number/],
  ["groups: 8", "groups: four", /design.groups: got "four", expected a (whole )?number/],
  ["kind: lanes", "kind: lane", /design.kind: got "lane", expected one of systolic, lookahead, lanes, roofline/],
  ["groups: 8", "groups: 1000000000", /groups of machine narrow is 1000000000: give at most 4096/],
])("a machine with %j as %j is refused in our words", (right, wrong, message) => {
  expect(machine).toContain(right);
  expect(() => readMachine(file(machine.replace(right, wrong)))).toThrow(message);
});

test("names that are nowhere list the choices", () => {
  expect(() => readMachine("seive")).toThrow(/unknown machine "seive"\. The choices are: systolic-ws/);
  expect(() => readTechnology("tpu7")).toThrow(/unknown technology "tpu7", did you mean "tpu-7"/);
  expect(() => readMachine(join(folder, "none.yaml"))).toThrow(/does not exist/);
});

test("whatever a file holds, it is a machine that can be or one error of ours", () => {
  const base = JSON.parse(JSON.stringify(MACHINES.sieve)) as Record<string, unknown>;
  const junk = fc.oneof(
    fc.constant(undefined),
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.constant(null),
    fc.constant([]),
    fc.constant({}),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(base), "design.lanes", "design.fifo", "design.flow"),
      junk,
      (path, value) => {
        const copy = structuredClone(base);
        const [outer = "", inner] = path.split(".");
        if (inner) (copy[outer] as Record<string, unknown>)[inner] = value;
        else copy[outer] = value;
        try {
          checkMachine(readMachine(file(JSON.stringify(copy))));
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect((error as Error).message).not.toMatch(/\n/);
        }
      },
    ),
    { numRuns: 150 },
  );
});
