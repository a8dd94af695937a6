/**
 * The grid file of a sweep: its schema, its defaults, and errors of one line. docs/sweeps.md shows one.
 */
import { basename, dirname, isAbsolute, join } from "node:path";
import { z } from "zod";
import { check, nearest, UsageError } from "../core/check.ts";
import {
  configPath,
  emptyTree,
  isConfigFile,
  isTree,
  parseConfig,
  readTree,
  runConfigSchema,
  setOverride,
  type Tree,
} from "./config.ts";
import { DEFAULT_MARGIN } from "./paired.ts";
import { type Arm, expandArms, flatten, type RandomRange, withOverrides } from "./sweep-arms.ts";
import { CHOICES } from "./sweep-results.ts";

/** Confirm on at least so many fresh seeds, unless told otherwise: four degrees of freedom. */
const FEWEST_FRESH_SEEDS = 5;

const number = (expected: string, ok: (value: number) => boolean) =>
  z.number({ error: expected }).refine(ok, { error: expected });
const whole = (least: number) =>
  number(`a whole number of at least ${least}`, (value) => Number.isSafeInteger(value) && value >= least);
const keys = (expected: string) => z.custom<Tree>(isTree, { error: expected });
const list = <T extends z.ZodType>(item: T, expected: string) =>
  z.array(item, { error: expected }).min(1, { error: expected });
const isSeed = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const seedList = (error: string) =>
  z.custom<number | number[]>(
    (value) => (Array.isArray(value) ? value.length > 0 && value.every(isSeed) : isSeed(value) && value !== 0),
    { error },
  );

const halving = z.strictObject({
  /** Steps after which arms are ranked; the last is the length of a whole training. */
  budgets: list(whole(1), "a rising list of steps such as [200, 600, 1800]").refine(
    (steps) => steps.every((step, index) => index === 0 || step > (steps[index - 1] as number)),
    { error: "a rising list of steps such as [200, 600, 1800]" },
  ),
  /** Share of the arms that goes on. */
  keep: number("a number above 0 and below 1", (value) => value > 0 && value < 1).default(0.5),
  /** Keys: arms that agree in them are ranked among themselves, so that each policy gets its own best rate. */
  within: list(z.string({ error: "a key such as policy" }), "a list of keys such as [policy]").optional(),
});

const confirm = z.strictObject({
  /** Fresh ones: a number of them, or a list. */
  seeds: seedList("a number of fresh seeds, or a list of them").optional(),
  /** Which arms are finalists, by validation. */
  choose: z.enum(CHOICES, { error: `one of ${CHOICES.join(", ")}` }).default("best"),
  /** Names of arms, in place of such a rule. */
  arms: list(z.string({ error: "the name of an arm" }), "a list of names of arms").optional(),
});

const schema = z.strictObject({
  /** Of the sweep's folder; without it, the file's. */
  name: z
    .string({ error: "a name of letters, digits, . _ and -" })
    .regex(/^\w[\w.-]*$/, { error: "a name of letters, digits, . _ and -" })
    .optional(),
  /** A configuration of a run, or the path of one. */
  base: z.union([z.string(), keys("")], { error: "a configuration, or the path of one" }).prefault({}),
  grid: keys("keys with lists of values, such as policy: [dense, energy:0.99]").prefault({}),
  random: keys(
    "keys with ranges, such as train.learningRate: {min: 1e-4, max: 1e-2, log: true}, and samples",
  ).optional(),
  arms: list(
    keys("settings such as {name: tuned, policy: energy:0.99}"),
    "a list of settings, each with a name",
  ).optional(),
  seeds: seedList("a number of seeds, or a list of them such as [1, 2, 3]").optional(),
  /** What others are paired with: an arm's name, key=value, or settings. */
  reference: z.union([z.string(), keys("")], { error: "an arm's name, or a setting such as policy=dense" }).optional(),
  /** valid: a sweep that chooses. test: arms fixed beforehand, the test split is shown at the end. */
  split: z.enum(["valid", "test"], { error: "valid or test" }).default("valid"),
  margin: number("a number above 0 and below 1", (value) => value > 0 && value < 1).default(DEFAULT_MARGIN),
  processes: whole(1).default(1),
  halving: halving.optional(),
  confirm: confirm.prefault({}),
});

const range = z
  .strictObject({
    min: z.number({ error: "a number" }),
    max: z.number({ error: "a number" }),
    log: z.boolean({ error: "true or false" }).default(false),
    integer: z.boolean({ error: "true or false" }).default(false),
  })
  .refine(({ min, max }) => min < max, { error: "min below max" })
  .refine(({ min, log }) => !log || min > 0, { error: "min above 0 where log is true" });

export type Halving = z.output<typeof halving>;

export interface Sweep {
  readonly name: string;
  /** The grid file as read, the base in full: it reads back to this sweep. */
  readonly definition: Tree;
  readonly arms: readonly Arm[];
  readonly seeds: readonly number[];
  /** Of these arms the best on validation is the reference: a tuned one, where there are several. */
  readonly referenceArms: readonly Arm[];
  readonly split: "valid" | "test";
  readonly margin: number;
  readonly processes: number;
  readonly halving: Halving | undefined;
  readonly confirm: {
    readonly seeds: readonly number[];
    readonly choose: (typeof CHOICES)[number];
    readonly arms: readonly Arm[] | undefined;
  };
}

/** Reads a grid file; `settings` ("train.maxSteps=100") change its base. */
export function loadSweep(file: string, settings: readonly string[] = []): Sweep {
  check(isConfigFile(file), `"${file}" is no grid file; give a .yaml, .yml or .json file. See docs/sweeps.md.`);
  const tree = readTree(file);
  const { base } = tree;
  const fromFile =
    typeof base === "string" ? readBase(isAbsolute(base) ? base : join(dirname(configPath(file)), base)) : base;
  const given = emptyTree();
  for (const setting of settings) setOverride(given, setting);
  const whole = fromFile ?? emptyTree();
  const definition = {
    name: basename(file).replace(/\.\w+$/, ""),
    ...tree,
    base: isTree(whole) ? withOverrides(whole, flatten(given)) : whole,
  };
  try {
    return parseSweep(definition);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  }
}

/** Checks a grid file as an object, and expands it. */
export function parseSweep(definition: Tree): Sweep {
  const result = schema.safeParse(definition);
  if (!result.success) throw new UsageError(explain(result.error.issues[0]!, definition));
  const { name = "sweep", base, grid, random, arms: explicit = [], halving: halve, ...rest } = result.data;
  check(isTree(base), () => `base: got the path "${base}"; only a grid file in a folder may name another file.`);
  const { maxSteps, seed: baseSeed } = parseConfigOf(base, halve);
  const arms = expandArms({
    base,
    grid,
    arms: explicit.map(checkName),
    ...(random ? { random: parseRandom(random) } : {}),
    ...(maxSteps === undefined ? {} : { maxSteps }),
  });
  check(arms.length > 1, "nothing to compare: give at least two arms by grid, random or arms.");
  checkTasks(arms);
  if (halve) checkHalving(halve, arms);
  const seeds = seedsOf(rest.seeds ?? [baseSeed], 1, "seeds");
  const fresh = seedsOf(
    rest.confirm.seeds ?? Math.max(FEWEST_FRESH_SEEDS, seeds.length),
    Math.max(...seeds) + 1,
    "confirm.seeds",
  );
  const seen = fresh.find((each) => seeds.includes(each));
  check(seen === undefined, `confirm.seeds: ${seen} is among seeds; what was chosen is confirmed on fresh ones.`);
  return {
    name,
    definition,
    arms,
    seeds,
    referenceArms: findReference(arms, rest.reference),
    split: rest.split,
    margin: rest.margin,
    processes: rest.processes,
    halving: halve,
    confirm: {
      seeds: fresh,
      choose: rest.confirm.choose,
      arms: rest.confirm.arms?.map((each) => armByName(arms, each, "confirm.arms")),
    },
  };
}

function readBase(file: string): Tree {
  check(isConfigFile(file), `base: "${file}" is no configuration; give a .yaml, .yml or .json file.`);
  return readTree(file);
}

/** The base must be a run by itself; halving decides how long runs are. */
function parseConfigOf(base: Tree, halve: Halving | undefined): { maxSteps: number | undefined; seed: number } {
  const { seed } = parseConfig(base);
  if (!halve) return { maxSteps: undefined, seed };
  const last = halve.budgets.at(-1) as number;
  const train = isTree(base.train) ? base.train : {};
  for (const key of ["maxSteps", "maxEpochs"])
    check(
      train[key] === undefined || (key === "maxSteps" && train[key] === last),
      `base: train.${key} is ${train[key]}, but halving ends at ${last} steps, its last budget; leave train.${key} out.`,
    );
  return { maxSteps: last, seed };
}

function checkName(arm: Tree, index: number): Tree {
  const { name } = arm;
  const ok = name === undefined || (typeof name === "string" && name.trim() !== "" && !/[\n\r]/.test(name));
  check(ok, `arms[${index}].name: got ${JSON.stringify(name)}, expected a line of text.`);
  return arm;
}

/** Losses of different tasks or texts are different things. */
function checkTasks(arms: readonly Arm[]): void {
  const [first, ...others] = arms as [Arm, ...Arm[]];
  const task = ({ config }: Arm) => JSON.stringify(config.task);
  const other = others.find((arm) => task(arm) !== task(first));
  check(
    other === undefined,
    () =>
      `arms "${first.name}" and "${other?.name}" differ in their task, so their losses cannot be compared; make a sweep for each (sweep tradeoff puts several together).`,
  );
}

function checkHalving({ budgets }: Halving, arms: readonly Arm[]): void {
  for (const { config } of arms) {
    const { valCheckInterval } = config.train;
    const odd = budgets.slice(0, -1).find((steps) => steps % valCheckInterval !== 0);
    check(
      odd === undefined,
      `halving.budgets: ${odd} is no multiple of train.valCheckInterval ${valCheckInterval}: nothing is validated at that step.`,
    );
  }
}

function parseRandom(tree: Tree): { ranges: Record<string, RandomRange>; samples: number; seed: number } {
  const { samples, seed = 1, ...rest } = tree;
  const amount = whole(1).safeParse(samples);
  check(amount.success, `random.samples: got ${JSON.stringify(samples)}, expected a whole number of at least 1.`);
  const origin = whole(0).safeParse(seed);
  check(origin.success, `random.seed: got ${JSON.stringify(seed)}, expected a whole number of at least 0.`);
  check(Object.keys(rest).length > 0, "random: expected at least one key with a range beside samples.");
  const ranges: Record<string, RandomRange> = emptyTree() as Record<string, RandomRange>;
  for (const [key, value] of Object.entries(rest)) {
    if (isTree(value) && Array.isArray(value.values) && value.values.length > 0 && Object.keys(value).length === 1) {
      ranges[key] = { values: value.values };
      continue;
    }
    const result = range.safeParse(value);
    check(
      result.success,
      () =>
        `random.${key}: got ${JSON.stringify(value)}, expected a range such as {min: 1e-4, max: 1e-2, log: true} or {values: [1, 2]}${why(result.error?.issues[0])}.`,
    );
    ranges[key] = result.data;
  }
  return { ranges, samples: amount.data, seed: origin.data };
}

function why(issue: z.core.$ZodIssue | undefined): string {
  return issue?.code === "custom" ? `, with ${issue.message}` : "";
}

/** A number n is n seeds from `first` on. */
function seedsOf(seeds: number | readonly number[], first: number, key: string): number[] {
  if (typeof seeds === "number") return Array.from({ length: seeds }, (_, index) => first + index);
  const twice = seeds.find((seed, index) => seeds.indexOf(seed) !== index);
  check(twice === undefined, `${key}: ${twice} is there twice; a seed counts once.`);
  return [...seeds];
}

/** Without a word on it: the arms that drop nothing anywhere, else those of policy dense, else the first arm. */
function findReference(arms: readonly Arm[], reference: string | Tree | undefined): Arm[] {
  if (reference === undefined) {
    const dense = arms.filter(({ config }) => config.policy === "dense");
    const everywhere = dense.filter(({ config: { headPolicy, policies = {} } }) =>
      [headPolicy, ...Object.values(policies)].every((policy) => policy === "dense"),
    );
    return [everywhere, dense, arms.slice(0, 1)].find((some) => some.length > 0) as Arm[];
  }
  if (typeof reference === "string") {
    const named = arms.filter(({ name }) => name === reference);
    const made = arms.filter(({ name }) => name.startsWith(`${reference}, `)); // of an explicit arm, by the grid
    if (named.length + made.length > 0) return named.length > 0 ? named : made;
  }
  const [, key, value] = typeof reference === "string" ? (/^([\w.]+)=(.*)$/.exec(reference) ?? []) : [];
  if (typeof reference === "string" && key === undefined) return [armByName(arms, reference, "reference")];
  const given = emptyTree();
  if (typeof reference === "string") setOverride(given, `${key}=${value}`);
  const settings = flatten(typeof reference === "string" ? given : reference);
  const found = arms.filter((arm) => has(arm, settings));
  if (found.length > 0) return found;
  const text = Object.entries(settings).map(([each, to]) => `${each}=${to}`);
  throw new UsageError(`reference: no arm has ${text.join(" and ")}. The arms are: ${namesOf(arms)}.`);
}

/** Whether setting these keys would leave the arm's training as it is. */
function has({ config }: Arm, settings: Readonly<Record<string, unknown>>): boolean {
  const changed = parseConfig(withOverrides(config as unknown as Tree, settings));
  return JSON.stringify(changed) === JSON.stringify(parseConfig(config));
}

function armByName(arms: readonly Arm[], name: string, key: string): Arm {
  const found = arms.find((arm) => arm.name === name);
  if (found) return found;
  const near = nearest(
    name,
    arms.map((arm) => arm.name),
  );
  throw new UsageError(
    `${key}: no arm is called "${name}"${near ? `, did you mean "${near}"?` : "."} The arms are: ${namesOf(arms)}.`,
  );
}

function namesOf(arms: readonly Arm[]): string {
  const shown = arms.slice(0, 8).map(({ name }) => `"${name}"`);
  return shown.join(", ") + (arms.length > shown.length ? ` and ${arms.length - shown.length} more` : "");
}

function explain(issue: z.core.$ZodIssue, tree: Tree): string {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") return unknownKey(path, issue.keys[0] as string);
  const got = issue.path.reduce<unknown>((at, key) => (at as Tree | undefined)?.[key as string], tree);
  return `${path.join(".")}: got ${JSON.stringify(got)}, expected ${issue.message}.`;
}

/** A run's own setting in the wrong place is the likeliest slip. */
function unknownKey(path: readonly string[], key: string): string {
  const sections = { halving, confirm } as const;
  const known = Object.keys((sections[path[0] as keyof typeof sections] ?? schema).shape);
  const full = [...path, key].join(".");
  const top = key.split(".")[0] as string;
  if (path.length === 0 && top in runConfigSchema.shape)
    return `unknown key "${full}": a setting of runs belongs under base (for all), grid (to vary) or arms.`;
  const near = nearest(key, known);
  return `unknown key "${full}"${near ? `, did you mean "${[...path, near].join(".")}"?` : "."} The keys are: ${known.join(", ")}.`;
}
