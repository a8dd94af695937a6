/**
 * The text of a policy, there and back:
 *
 *   policy      combinator(number, ...)+ ... name:argument,key=value,flag,...
 *   examples    dense    energy:0.99,o=0.999    topk:0.1,unified,paths=dW    warmup(0.1)+every(10)+block:0.2,size=16
 *
 * A key is an option (options.ts) or, a single letter, a gate with an argument of its own. The canonical text
 * has combinators and options in the order of their tables, gates in alphabetical order, and no defaults but
 * the argument's. Errors name the choices.
 */
import { choose, formatNumber, nearest, UsageError } from "../core/check.ts";
import { type Combinator, type CombinatorName, combinators } from "./combinators.ts";
import { defaultOptions, EVERYWHERE, OPTIONS, type OptionSpec, type PolicyOptions } from "./options.ts";
import type { PolicyArgument, PolicyEntry } from "./policy.ts";

export interface PolicyText {
  readonly combinators: readonly CombinatorText[];
  readonly name: string;
  /** Undefined where the policy has none, or where a ramp moves it. */
  readonly argument: number | undefined;
  readonly gates: Readonly<Record<string, number>>;
  readonly options: PolicyOptions;
}

export interface CombinatorText {
  readonly name: CombinatorName;
  readonly args: readonly number[];
}

type Entries = Readonly<Record<string, PolicyEntry>>;
type Fail = (message: string) => never;

export function parseText(text: string, entries: Entries): PolicyText {
  const fail: Fail = (message) => {
    throw new UsageError(`policy "${text}": ${message}`);
  };
  const [found, base] = splitCombinators(text, fail);
  const [, name = "", rest] = /^([^:]*)(?::(.*))?$/s.exec(base) ?? [];
  if (/[+(]/.test(name)) fail(`write combinators as in "warmup(200)+energy:0.99". They are ${usages()}.`);
  const entry = choose("policy", name.trim(), entries);
  const ramped = found.some((combinator) => combinator.name === "ramp");
  if (!entry.argument && rest !== undefined) fail(`${name} takes no argument; write "${name}".`);
  if (!entry.argument && ramped) fail(`a ramp moves the argument of a policy, and ${name} has none.`);
  const items = rest === undefined ? [] : rest.split(",").map((item) => item.trim());
  const { gates, options, argument } = parseItems(items, name.trim(), entry, fail);
  if (ramped && argument !== undefined)
    fail(`the ramp gives the argument ${entry.argument?.name}; leave ${formatNumber(argument)} out.`);
  for (const { name: combinator, args } of found)
    combinators[combinator].parameters.forEach((parameter, at) => {
      if (parameter === "argument") checkArgument(args[at] as number, name, entry.argument as PolicyArgument, fail);
    });
  const usual = entry.argument?.default;
  if (entry.argument && !ramped && argument === undefined && usual === undefined)
    fail(`give ${entry.argument.name}, as in "${name}:${formatNumber(entry.argument.atMost)}".`);
  return { combinators: found, name: name.trim(), argument: ramped ? undefined : (argument ?? usual), gates, options };
}

/** The canonical text. */
export function printText({ combinators: found, name, argument, gates, options }: PolicyText): string {
  const prefix = found.map((combinator) => `${combinator.name}(${combinator.args.map(formatNumber).join(",")})+`);
  const items = argument === undefined ? [] : [formatNumber(argument)];
  for (const gate of Object.keys(gates).sort()) items.push(`${gate}=${formatNumber(gates[gate] as number)}`);
  for (const [key, spec] of Object.entries(OPTIONS)) {
    const value = options[key as keyof PolicyOptions];
    if (value !== spec.default) items.push(spec.kind === "flag" ? key : `${key}=${value}`);
  }
  return prefix.join("") + name + (items.length ? `:${items.join(",")}` : "");
}

/** Combinators in the order of their table, and the text behind them. */
function splitCombinators(text: string, fail: Fail): [CombinatorText[], string] {
  const found: CombinatorText[] = [];
  let rest = text.trim();
  for (;;) {
    const [all, name, args] = /^([^()+:,]*)\(([^()]*)\)\s*\+/.exec(rest) ?? [];
    if (all === undefined) break;
    const combinator: Combinator = choose("combinator", (name as string).trim(), combinators);
    if (found.some((other) => other.name === (name as string).trim())) fail(`${name} stands there twice.`);
    found.push({ name: (name as string).trim() as CombinatorName, args: parseArguments(combinator, args ?? "", fail) });
    rest = rest.slice(all.length).trim();
  }
  const order = Object.keys(combinators);
  found.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  return [found, rest];
}

function parseArguments({ usage, parameters, optional = 0 }: Combinator, text: string, fail: Fail): number[] {
  const args = text.split(",").map(toNumber);
  if (args.length > parameters.length || args.length < parameters.length - optional || args.some(Number.isNaN))
    fail(`write ${usage} with numbers.`);
  for (const [at, value] of args.entries()) {
    const whole = Number.isSafeInteger(value);
    if (parameters[at] === "count" && !(whole && value >= 1))
      fail(`${usage} needs a whole number of at least 1, got ${formatNumber(value)}.`);
    if (parameters[at] === "duration" && !(value >= 0 && (value < 1 || whole)))
      fail(
        `STEPS in ${usage} must be a whole number of steps, or a share of the run below 1, got ${formatNumber(value)}.`,
      );
  }
  return args;
}

function parseItems(items: readonly string[], name: string, entry: PolicyEntry, fail: Fail) {
  const { argument: spec, options: own = [] } = entry;
  const known = [...own, ...EVERYWHERE];
  const options: Record<string, unknown> = { ...defaultOptions() };
  const gates: Record<string, number> = {};
  const seen = new Set<string>();
  let argument: number | undefined;
  for (const [at, item] of items.entries()) {
    const [, key = "", value] = /^([^=]*?)\s*(?:=\s*(.*))?$/s.exec(item) ?? [];
    const isKey = value !== undefined || known.includes(key as keyof PolicyOptions);
    if (!isKey && at === 0) {
      argument = checkArgument(toNumber(item), name, spec as PolicyArgument, fail);
      continue;
    }
    if (seen.has(key)) fail(`${key} stands there twice.`);
    seen.add(key);
    if (known.includes(key as keyof PolicyOptions))
      options[key] = parseOption(key, OPTIONS[key as keyof PolicyOptions], value, fail);
    else if (/^[a-z]$/.test(key) && value !== undefined && spec?.perGate)
      gates[key] = checkArgument(toNumber(value), name, spec, fail, key);
    else {
      const near = nearest(key, known);
      const choices = [...known, ...(spec?.perGate ? ["a gate, as in o=0.9"] : [])].join(", ");
      fail(`${name} has no option "${key}"${near ? `, did you mean "${near}"?` : "."} The options are: ${choices}.`);
    }
  }
  if (options.pooled && Object.keys(gates).length)
    fail(
      `pooled is one budget for all gates, and ${Object.keys(gates).join(", ")} has its own: leave one of them out.`,
    );
  return { argument, gates, options: options as unknown as PolicyOptions };
}

function parseOption(key: string, spec: OptionSpec, text: string | undefined, fail: Fail): boolean | number | string {
  if (spec.kind === "flag") {
    if (text === undefined || text === "true") return true;
    return text === "false" ? false : fail(`${key} is a flag: write it alone, or leave it out.`);
  }
  if (spec.kind === "choice")
    return text !== undefined && spec.choices.includes(text)
      ? text
      : fail(`${key} must be one of ${spec.choices.join(", ")}, for example ${key}=${spec.choices.at(-1)}.`);
  const value = text === undefined ? Number.NaN : toNumber(text);
  const { atLeast, atMost, whole } = spec;
  if (!(value >= atLeast && value <= atMost && (!whole || Number.isInteger(value))))
    fail(
      `${key} must be a ${whole ? "whole " : ""}number from ${atLeast} to ${atMost}, for example ${key}=${spec.default}.`,
    );
  return value + 0;
}

function checkArgument(value: number, policy: string, spec: PolicyArgument, fail: Fail, gate?: string): number {
  const { name, atLeast, atMost, default: usual = atMost } = spec;
  if (value >= atLeast && value <= atMost) return value + 0; // no -0
  const example = `${policy}:${formatNumber(usual)}`;
  return fail(
    `${gate ? `${name} of gate ${gate}` : name} must be a number from ${atLeast} to ${atMost}, for example "${example}".`,
  );
}

function toNumber(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}

function usages(): string {
  return Object.values(combinators)
    .map(({ usage }) => usage)
    .join(", ");
}
