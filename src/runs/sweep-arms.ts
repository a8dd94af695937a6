/**
 * From a grid file's three ways of saying what varies to a list of arms: the explicit arms, times the
 * combinations of the grid, times the random samples. An arm is one training but for its seed.
 */
import { createHash } from "node:crypto";
import { formatNumber, UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { emptyTree, isTree, merge, parseConfig, pathOf, type RunConfig, type Tree } from "./config.ts";

export interface Arm {
  /** What people call it; any text. */
  readonly name: string;
  /** The same as part of a folder's name. */
  readonly slug: string;
  /** What it sets apart from the base: dotted keys. */
  readonly overrides: Readonly<Record<string, unknown>>;
  /** With the base's seed. */
  readonly config: RunConfig;
}

/** One training of a sweep. */
export interface Member {
  /** The run's folder: the arm's slug and the seed. */
  readonly id: string;
  readonly arm: Arm;
  readonly seed: number;
  readonly config: RunConfig;
}

/** Of one key: a range, evenly or on a logarithmic scale, or a list to draw from. */
export type RandomRange =
  | { readonly min: number; readonly max: number; readonly log: boolean; readonly integer: boolean }
  | { readonly values: readonly unknown[] };

export interface Varied {
  readonly base: Tree;
  /** Each may have a `name`; nested or dotted keys. */
  readonly arms: readonly Tree[];
  /** Lists of values; nested or dotted keys. */
  readonly grid: Tree;
  readonly random?: { readonly ranges: Readonly<Record<string, RandomRange>>; samples: number; seed: number };
  /** Of every arm; set by halving. */
  readonly maxSteps?: number;
}

/** Some settings together, and what they are called where that is not derived from them. */
interface Part {
  readonly name?: string;
  readonly overrides: Readonly<Record<string, unknown>>;
}

/** Throws a UsageError of one line for settings that no run has, and for two arms that are the same training. */
export function expandArms(varied: Varied): Arm[] {
  const { base, arms, grid, random } = varied;
  const sources = {
    arms: arms.map(
      ({ name, ...overrides }): Part => ({
        ...(name === undefined ? {} : { name: name as string }),
        overrides: flatten(overrides),
      }),
    ),
    grid: gridParts(flatten(grid)),
    random: random ? randomParts(random) : [],
  };
  checkKeys(sources);
  const combined = Object.values(sources)
    .filter((parts) => parts.length > 0)
    .reduce<Part[][]>((lists, parts) => lists.flatMap((list) => parts.map((part) => [...list, part])), [[]]);
  const taken = new Set<string>();
  const found: Arm[] = [];
  for (const parts of combined) {
    const overrides: Record<string, unknown> = Object.assign(emptyTree(), ...parts.map((part) => part.overrides));
    const config = configOf(varied, base, overrides);
    const name = parts.map((part) => part.name ?? describe(part.overrides, overrides, config)).join(", ");
    const same = found.find((arm) => arm.name === name || JSON.stringify(arm.config) === JSON.stringify(config));
    if (same?.name === name) throw new UsageError(`two arms are called "${name}"; give each a name of its own.`);
    if (same)
      throw new UsageError(`arms "${same.name}" and "${name}" are the same training; leave one out, or change it.`);
    found.push({ name, slug: slugOf(name, taken), overrides, config });
  }
  return found;
}

/** Seed by seed, so that pairs are complete early and a drift of the machine hits all arms alike. */
export function membersOf(arms: readonly Arm[], seeds: readonly number[]): Member[] {
  return seeds.flatMap((seed) =>
    arms.map((arm) => ({ id: `${arm.slug}-s${seed}`, arm, seed, config: { ...arm.config, seed } })),
  );
}

/** Dotted keys of nested ones: { train: { maxSteps: 3 } } to { "train.maxSteps": 3 }. */
export function flatten(tree: Tree, prefix = ""): Record<string, unknown> {
  const flat: Record<string, unknown> = emptyTree();
  for (const [key, value] of Object.entries(tree))
    if (isTree(value)) Object.assign(flat, flatten(value, `${prefix}${key}.`));
    else flat[`${prefix}${key}`] = value;
  return flat;
}

/** `tree` with dotted keys set. */
export function withOverrides(tree: Tree, overrides: Readonly<Record<string, unknown>>): Tree {
  return Object.entries(overrides).reduce((under, [key, value]) => {
    const over = pathOf(key).reduceRight<unknown>(
      (inner, part) => Object.assign(emptyTree(), { [part]: inner }),
      value,
    );
    return merge(under, over as Tree);
  }, tree);
}

/** The value of a dotted key. */
export function valueAt(config: unknown, key: string): unknown {
  return pathOf(key).reduce<unknown>((at, part) => (isTree(at) ? at[part] : undefined), config);
}

/**
 * A text as part of a folder's name: letters, digits and . = + _ - remain. Where that is not the whole
 * name or is taken, a hash of the name follows. File systems may not tell capitals apart.
 */
export function slugOf(name: string, taken: Set<string>): string {
  const longest = 60;
  const plain = name.replace(/[^A-Za-z0-9.=+_-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "");
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8);
  const fits = plain !== "" && plain.length <= longest && !taken.has(plain.toLowerCase());
  const slug = fits ? plain : `${plain.slice(0, longest)}-${hash}`.replace(/^-/, "arm-");
  taken.add(slug.toLowerCase());
  return slug;
}

function configOf({ maxSteps }: Varied, base: Tree, overrides: Readonly<Record<string, unknown>>): RunConfig {
  const length = ["train.maxSteps", "train.maxEpochs"].find((key) => maxSteps !== undefined && key in overrides);
  if (length)
    throw new UsageError(
      `an arm sets ${length}, but halving decides how long runs are; leave it out of grid and arms.`,
    );
  try {
    const tree = withOverrides(base, overrides);
    return parseConfig(maxSteps === undefined ? tree : withOverrides(tree, { "train.maxSteps": maxSteps }));
  } catch (error) {
    if (!(error instanceof UsageError) || Object.keys(overrides).length === 0) throw error;
    const settings = Object.entries(overrides).map(([key, value]) => `${key}=${shown(value)}`);
    throw new UsageError(`arm ${settings.join(", ")}: ${error.message}`);
  }
}

/** Every combination; the first key changes slowest. */
function gridParts(grid: Readonly<Record<string, unknown>>): Part[] {
  const keys = Object.entries(grid);
  for (const [key, values] of keys)
    if (!Array.isArray(values) || values.length === 0)
      throw new UsageError(`grid.${key}: got ${JSON.stringify(values)}, expected a list of values such as [1, 2].`);
  if (keys.length === 0) return [];
  return keys
    .reduce<Record<string, unknown>[]>(
      (combinations, [key, values]) =>
        combinations.flatMap((some) => (values as unknown[]).map((value) => ({ ...some, [key]: value }))),
      [{}],
    )
    .map((overrides) => ({ overrides }));
}

/** The first n samples stay the same when more are asked for. Numbers have three digits, as their names show. */
function randomParts({ ranges, samples, seed }: NonNullable<Varied["random"]>): Part[] {
  const streams = Object.entries(ranges).map(
    ([key, range]) => [key, range, new RandomStream(seed, `sweep ${key}`)] as const,
  );
  return Array.from({ length: samples }, () => ({
    overrides: Object.fromEntries(streams.map(([key, range, stream]) => [key, draw(range, stream)])),
  }));
}

function draw(range: RandomRange, stream: RandomStream): unknown {
  if ("values" in range) return range.values[stream.below(range.values.length)];
  const { min, max, log, integer } = range;
  const share = stream.uniform();
  const value = log ? min * (max / min) ** share : min + (max - min) * share;
  const rounded = integer ? Math.round(value) : Number(value.toPrecision(3));
  return Math.min(max, Math.max(min, rounded));
}

function checkKeys(sources: Readonly<Record<string, readonly Part[]>>): void {
  const owners = new Map<string, string>();
  for (const [source, parts] of Object.entries(sources))
    for (const key of new Set(parts.flatMap((part) => Object.keys(part.overrides)))) {
      if (key === "seed")
        throw new UsageError(`${source}: seed is no setting of an arm; give seeds, which every arm is trained with.`);
      const owner = owners.get(key);
      if (owner) throw new UsageError(`${key} is set in ${owner} and in ${source}; set it in one of them.`);
      owners.set(key, source);
    }
}

/** "energy:0.99, learningRate=0.002": a policy by its value alone, other keys by their last part if that is clear. */
function describe(
  part: Readonly<Record<string, unknown>>,
  all: Readonly<Record<string, unknown>>,
  config: RunConfig,
): string {
  const last = (key: string) => pathOf(key).at(-1) as string;
  const keys = Object.keys(part);
  if (keys.length === 0) return "base";
  return keys
    .map((key) => {
      const value = shown(valueAt(config, key) ?? part[key]);
      if (key === "policy") return value;
      const clear = Object.keys(all).filter((other) => last(other) === last(key)).length === 1;
      return `${clear ? last(key) : key}=${value}`;
    })
    .join(", ");
}

function shown(value: unknown): string {
  if (typeof value === "number") return formatNumber(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
