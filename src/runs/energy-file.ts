/** A user's own machine or technology, as YAML or JSON: what src/energy has in its tables. docs/accelerator.md shows both. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { nearest, UsageError } from "../core/check.ts";
import { checkMachine, type Machine } from "../energy/machine.ts";
import { MACHINES } from "../energy/machines.ts";
import { technologyOf } from "../energy/technologies.ts";
import { checkTechnology, FIGURES, type Technology } from "../energy/technology.ts";

const whole = z.number().int();
const figure = z
  .strictObject({
    value: z.number(),
    low: z.number().optional(),
    high: z.number().optional(),
    source: z.string(),
    standing: z.enum(["read", "cited", "assumption"]).default("cited"),
  })
  .transform(({ value, low = value, high = value, ...rest }) => ({ value, low, high, ...rest }));

const technologySchema = z.strictObject({
  name: z.string().min(1),
  summary: z.string().default("a technology of your own"),
  ...(Object.fromEntries(FIGURES.map((key) => [key, figure])) as Record<(typeof FIGURES)[number], typeof figure>),
  sram: z.array(z.strictObject({ bytes: z.number(), wordPJ: figure })),
});

const designSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("systolic"),
    rows: whole,
    cols: whole,
    stationary: z.enum(["weight", "output"]),
    gating: z.boolean().default(false),
    gather: z.enum(["none", "columns"]).default("none"),
  }),
  z.strictObject({ kind: z.literal("lookahead"), rows: whole, cols: whole, depth: whole.max(8) }),
  z.strictObject({
    kind: z.literal("lanes"),
    groups: whole,
    lanes: whole,
    macsPerLane: whole,
    unitWidth: whole,
    fifo: whole,
    ports: whole,
    queue: whole,
    steal: z.boolean().default(false),
    threshold: z.boolean(),
    flow: z.enum(["column", "row"]),
    bufferRows: whole,
  }),
  z.strictObject({
    kind: z.literal("roofline"),
    macsPerCycle: z.number(),
    speedups: z.array(z.tuple([z.number().positive().max(1), z.number().positive()])).min(1),
    watts: figure,
  }),
]);

const DESIGNS = designSchema.options.map(({ shape }) => shape.kind.value);

const machineSchema = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, "letters, digits, dot, dash and underscore alone"),
  summary: z.string().default("a machine of your own"),
  design: designSchema,
  clockGHz: z.number(),
  sramBytes: z.number(),
  bankBytes: z.number(),
  dramGBs: z.number(),
  vectorLanes: z.number(),
  overhead: figure.nullable().default(null),
  sources: z.array(z.string()),
});

const FILE = /\.(ya?ml|json)$/i;

/** A name of the table, or a file. Throws a `UsageError` that says what is wrong with either. */
export function readMachine(nameOrFile: string): Machine {
  if (!FILE.test(nameOrFile)) {
    const known = MACHINES[nameOrFile];
    if (known) return known;
    throw new UsageError(
      `unknown machine "${nameOrFile}". The choices are: ${Object.keys(MACHINES).join(", ")}; or a file that ends in .yaml or .json.`,
    );
  }
  const machine: Machine = readAs(nameOrFile, "machine", machineSchema);
  checkMachine(machine);
  return machine;
}

export function readTechnology(nameOrFile: string): Technology {
  if (!FILE.test(nameOrFile)) return technologyOf(nameOrFile);
  const technology: Technology = readAs(nameOrFile, "technology", technologySchema);
  checkTechnology(technology);
  return technology;
}

function readAs<T>(file: string, what: string, schema: z.ZodType<T>): T {
  let tree: unknown;
  try {
    tree = parse(readFileSync(file, "utf8"));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "does not exist" : `cannot be read: ${message.split("\n")[0]}`;
    throw new UsageError(`${what} file ${file} ${why}. Give a file as docs/accelerator.md shows it.`);
  }
  const result = schema.safeParse(tree);
  if (result.success) return result.data;
  throw new UsageError(
    `${what} file ${file}: ${explain(result.error.issues, tree)}. docs/accelerator.md has an example.`,
  );
}

const EXPECTED: Readonly<Record<string, string>> = {
  number: "a number",
  int: "a whole number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "keys and values",
};

/** One thing that is wrong. A key that is not known first: a typing error also makes another one missing. */
function explain(issues: readonly z.core.$ZodIssue[], tree: unknown): string {
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys");
  if (unknown) {
    const key = unknown.keys[0] as string;
    const near = nearest(
      key,
      issues.filter(({ code }) => code === "invalid_type").map(({ path }) => String(path.at(-1))),
    );
    return `unknown key "${[...unknown.path, key].join(".")}"${near ? `, did you mean "${near}"?` : ""}`;
  }
  const issue = issues[0] as z.core.$ZodIssue;
  const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], tree);
  const shown = got === undefined || got === null ? "nothing" : JSON.stringify(got);
  const expected =
    issue.code === "invalid_type"
      ? (EXPECTED[issue.expected] ?? issue.expected)
      : issue.code === "invalid_value"
        ? `one of ${issue.values.join(", ")}`
        : issue.code === "invalid_union" && issue.path.at(-1) === "kind"
          ? `one of ${DESIGNS.join(", ")}`
          : issue.message;
  return `${issue.path.join(".") || "the file"}: got ${shown}, expected ${expected}`;
}
