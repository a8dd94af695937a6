/** gatesieve sweep: many trainings from one grid file, compared in pairs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { check, nearest } from "../../core/check.ts";
import { isConfigFile } from "../../runs/config.ts";
import { runSweep, type SweepEvent, SweepState } from "../../runs/sweep.ts";
import { loadSweep, parseSweep, type Sweep } from "../../runs/sweep-grid.ts";
import { checkSweepDir, findSweep, listSweeps, PAGE, RUNS, readSweep, writeGrid } from "../../runs/sweep-store.ts";
import { tradeoffOf, writeTradeoff } from "../../runs/sweep-tradeoff.ts";
import { duration } from "../format.ts";
import { sortInputs } from "../inputs.ts";
import { Interrupt } from "../interrupt.ts";
import { commandName, jsonOption, nextSweepCommand, type SweepsOption, sweepsOption, wholeNumber } from "../options.ts";
import { paint, print, printJson, remark, table, widthOf, wrap } from "../print.ts";
import { heads } from "../summary.ts";
import { memberCommand } from "../sweep-member-command.ts";
import { sweepPage } from "../sweep-page.ts";
import { nameOf, SweepProgress } from "../sweep-progress.ts";
import { qualityRows, readingNotes, savingRows } from "../sweep-tables.ts";
import { writePage } from "./compare.ts";

interface SweepCommandOptions extends SweepsOption {
  readonly name?: string;
  readonly processes?: number;
  readonly confirm?: boolean;
  readonly retry?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const EXAMPLES = `
Examples:
  gatesieve sweep rates.yaml --dry-run             what would be trained, and how long it may take
  gatesieve sweep rates.yaml                       train it; call it again to go on after a stop
  gatesieve sweep rates.yaml train.maxSteps=600    with another setting of its base
  gatesieve sweep rates --confirm                  finalists on fresh seeds, judged on test
  gatesieve sweep show rates                       its tables again

A grid file says what varies: docs/sweeps.md.
Ctrl-C ends members after their steps and keeps checkpoints.`;

export function sweepCommand(): Command {
  const command = new Command("sweep")
    .summary("many runs from one grid file, compared in pairs")
    .description(
      "Train every arm of a grid file on every seed, each in a process of its own, and compare the arms pair by pair: " +
        "tables here, and one HTML page with fronts of quality against what was saved.",
    )
    .argument("[input...]", "a grid file (.yaml, .json) or a sweep begun before; and settings of its base as key=value")
    .option("--name <name>", "of the sweep and its folder (the grid file's)")
    .option("--processes <n>", "trainings at a time (the grid file's, or 1)", wholeNumber(1))
    .option("--confirm", "then train the finalists on fresh seeds and look at the test split")
    .option("--retry", "try members again that failed")
    .option("--dry-run", "list the members and the time they may take; train nothing")
    .addOption(jsonOption("members as they end, then the results, as JSON lines on stdout"))
    .option("--quiet", "no progress, the result alone")
    .addOption(sweepsOption())
    .addHelpText("after", EXAMPLES)
    .enablePositionalOptions()
    .action(sweep);
  command.addCommand(showCommand()).addCommand(listCommand()).addCommand(tradeoffCommand());
  return command.addCommand(memberCommand(), { hidden: true });
}

async function sweep(inputs: readonly string[], options: SweepCommandOptions, command: Command): Promise<void> {
  const { sweep: plan, dir } = openSweep(inputs, options, command);
  const { confirm = false, json = false, quiet = false } = options;
  check(
    !confirm || plan.split === "valid",
    `sweep ${plan.name} has split: test; its arms were fixed beforehand and there is nothing to confirm. Leave out --confirm.`,
  );
  for (const note of checkSweepDir(dir, plan)) remark(`gatesieve: ${note}`);
  const processes = options.processes ?? plan.processes;
  if (options.dryRun) return dryRun(new SweepState(dir, plan), processes, json);

  writeGrid(dir, plan);
  const state = new SweepState(dir, plan);
  const progress = new SweepProgress(state, processes, quiet);
  const abort = new AbortController();
  const interrupt = new Interrupt((signal) => {
    progress.note(`gatesieve: ${signal}, ending after these steps, keeping checkpoints (again: quit at once)`);
    abort.abort();
  });
  const listen = (event: SweepEvent) => {
    progress.add(event);
    if (json) tellJson(event);
  };
  try {
    if (!quiet) remark(describePlan(plan, processes, dir));
    const [node, script] = [process.execPath, process.argv[1] as string];
    await runSweep(state, {
      command: [node, ...process.execArgv, script],
      processes,
      confirm,
      retry: options.retry ?? false,
      signal: abort.signal,
      listen,
    });
  } finally {
    progress.clear();
    interrupt.release();
  }
  finish(state, processes, options, interrupt);
}

function openSweep(
  inputs: readonly string[],
  { name, sweeps }: SweepCommandOptions,
  command: Command,
): { sweep: Sweep; dir: string } {
  const [first] = inputs;
  const words = command.commands.map((each) => each.name());
  const near = first && !existsSync(join(sweeps, first)) && !isConfigFile(first) ? nearest(first, words) : undefined;
  check(!near, () => `"${first}" is no grid file and no sweep; did you mean "gatesieve sweep ${near}"?`);
  const { file, settings } = sortInputs(inputs);
  check(file !== undefined, `give a grid file, for example: ${commandName()} sweep grid.yaml. See docs/sweeps.md.`);
  if (isConfigFile(file)) {
    const read = loadSweep(file, settings);
    const named = name === undefined ? read : parseSweep({ ...read.definition, name });
    check(
      !words.includes(named.name),
      `"${named.name}" is a word of this command; give the sweep another name with --name.`,
    );
    return { sweep: named, dir: join(sweeps, named.name) };
  }
  const dir = findSweep(sweeps, file);
  const extra = settings[0] ?? (name === undefined ? undefined : "--name");
  check(
    extra === undefined,
    `a sweep begun before goes on as it was set up; leave out "${extra}", or give its grid file.`,
  );
  return { sweep: readSweep(dir), dir };
}

function describePlan({ name, arms, seeds, halving }: Sweep, processes: number, dir: string): string {
  const rungs = halving ? `, halving at ${halving.budgets.join(", ")} steps` : "";
  const at = processes === 1 ? "one at a time" : `${processes} at a time`;
  return `sweep ${name}: ${arms.length} arms x ${seeds.length} seeds = ${arms.length * seeds.length} members, ${at}${rungs}; kept in ${dir}`;
}

function dryRun(state: SweepState, processes: number, json: boolean): void {
  const records = state.members.map(({ member, phase }) => state.state(member, phase));
  const seconds = state.secondsLeft(processes);
  if (json) {
    for (const record of records) printJson({ type: "member", ...record });
    printJson({ type: "estimate", processes, seconds });
    return;
  }
  const leftOut = new Set([...state.leftOut.keys()].map(({ name }) => name));
  const rows = records.map((record) => [
    record.id,
    record.arm,
    String(record.seed),
    `${record.steps}/${record.maxSteps ?? "?"}`,
    leftOut.has(record.arm) ? "left out" : record.status,
    record.error ?? "",
  ]);
  print(table([heads(["member", "arm", "seed", "steps", "", ""]), ...rows], [0, 1, 4, 5]));
  print();
  print(
    seconds === null
      ? "Time: not known before a first member has ended; then this says how long the rest may take."
      : `Time: about ${duration(seconds)} for what is left, ${processes} at a time, by those that have ended.`,
  );
}

/** Members as they end; their test losses stay in their run folders. */
function tellJson(event: SweepEvent): void {
  if (event.type === "end") {
    const { validLoss = null, sparsity = null } = event.summary ?? {};
    printJson({ type: "member", ...event.record, validLoss, sparsity });
  } else if (event.type === "halved" || event.type === "finalists") printJson(event);
}

function finish(state: SweepState, processes: number, options: SweepCommandOptions, interrupt: Interrupt): void {
  const { dir, sweep: plan, record } = state;
  const page = join(dir, PAGE);
  writePage(page, sweepPage(state, processes));
  const { members } = record;
  const failed = members.filter(({ status }) => status === "failed");
  const left = members.filter(({ status, arm }) =>
    status === "paused" || status === "pending" ? ![...state.leftOut.keys()].some(({ name }) => name === arm) : false,
  );
  if (options.json) printJson({ type: "result", ...record });
  else if (!interrupt.received) printResults(state, processes, page, options);
  for (const error of new Set(failed.map((member) => member.error))) {
    const [first, ...others] = failed.filter((member) => member.error === error);
    const more = others.length > 0 ? ` (and ${others.length} more)` : "";
    remark(`gatesieve: failed: ${nameOf(first!.arm, first!.seed)}${more}: ${error}`);
  }
  if (failed.length > 0)
    remark(
      `gatesieve: ${failed.length} of ${members.length} members failed. Try them again with: ${nextSweepCommand(`sweep ${plan.name} --retry`, options)}`,
    );
  if (left.length > 0)
    remark(
      `gatesieve: ${members.length - left.length} of ${members.length} members are done, what they did is kept in ${dir}. Go on with: ${nextSweepCommand(`sweep ${plan.name}${options.confirm ? " --confirm" : ""}`, options)}`,
    );
  process.exitCode = interrupt.received ? interrupt.exitCode : failed.length + left.length > 0 ? 1 : 0;
}

function printResults(state: SweepState, processes: number, page: string, options: SweepsOption): void {
  const { sweep: plan } = state;
  const { choose, confirm } = state.results();
  const shown = confirm ?? choose;
  print(
    `${paint.bold(`sweep ${plan.name}`)}, ${confirm ? "confirmed on test, fresh seeds" : shown.split === "test" ? "judged on test" : "judged on validation"}\n`,
  );
  for (const rows of [qualityRows(shown), savingRows(shown)]) {
    const [head, ...body] = rows as [string[], ...string[][]];
    print(`${table([heads(head), ...body], [0, head.indexOf("verdict")])}\n`);
  }
  for (const text of readingNotes(shown, processes)) print(paint.dim(wrap(text, widthOf(process.stdout) - 1)));
  print(`\n${paint.dim("charts")}  ${page}`);
  const failed = state.record.members.some(({ status }) => status === "failed");
  if (plan.split === "test" || confirm || !state.chosen || failed) return;
  print(paint.dim("type next"));
  print(`  ${nextSweepCommand(`sweep ${plan.name} --confirm`, options)}`);
}

function showCommand(): Command {
  return new Command("show")
    .summary("a sweep's tables and page, from its runs as they are")
    .description("Show a sweep as it is, running or not. Its test losses only once it was confirmed.")
    .argument("<sweep>", "its name, or its folder")
    .option("--out <file>", `the page (${PAGE} in its folder)`)
    .addOption(jsonOption("the record and the results as one JSON object"))
    .addOption(sweepsOption())
    .addHelpText("after", "\nExample:\n  gatesieve sweep show rates --json")
    .action((name: string, options: SweepsOption & { out?: string; json?: boolean }) => {
      const dir = findSweep(options.sweeps, name);
      const state = new SweepState(dir, readSweep(dir));
      const { processes } = state.sweep;
      const page = options.out ?? join(dir, PAGE);
      if (!options.json || options.out) writePage(page, sweepPage(state, processes));
      if (options.json) printJson({ ...state.record, results: state.results() });
      else printResults(state, processes, page, options);
    });
}

function listCommand(): Command {
  return new Command("list")
    .summary("list sweeps, newest first")
    .description("List sweeps, newest first. Runs of one: gatesieve runs --runs FOLDER/runs.")
    .addOption(jsonOption("one JSON object a line"))
    .addOption(sweepsOption())
    .addHelpText("after", "\nExample:\n  gatesieve sweep list")
    .action(({ sweeps, json }: SweepsOption & { json?: boolean }) => {
      const found = listSweeps(sweeps, (note) => remark(`gatesieve: ${note}`));
      if (json) for (const each of found) printJson(each);
      else if (found.length === 0)
        remark(`gatesieve: no sweeps in ${sweeps}. Begin with: ${commandName()} sweep GRID.yaml; see docs/sweeps.md.`);
      else
        print(
          table(
            [
              heads(["sweep", "arms", "members", "finished", "failed", "", "runs"]),
              ...found.map(({ name, arms, members, finished, failed, status, dir }) => [
                ...[name, String(arms), String(members), String(finished), String(failed), status],
                join(dir, RUNS),
              ]),
            ],
            [0, 5, 6],
          ),
        );
    });
}

function tradeoffCommand(): Command {
  return new Command("tradeoff")
    .summary("test results of several sweeps as one file")
    .description(
      "Put what was found on test splits by several sweeps into one JSON list; what it has of other sweeps stays.",
    )
    .argument("<sweep...>", "their names, or their folders")
    .option("--out <file>", "the list (tradeoff.json in the folder of the sweeps)")
    .addOption(sweepsOption())
    .addHelpText("after", "\nExample:\n  gatesieve sweep tradeoff rates words --out tradeoff.json")
    .action((names: string[], { sweeps, out = join(sweeps, "tradeoff.json") }: SweepsOption & { out?: string }) => {
      const entries = names.flatMap((name) => {
        const dir = findSweep(sweeps, name);
        const state = new SweepState(dir, readSweep(dir));
        return tradeoffOf(state.sweep, { ...state.record, results: state.results() });
      });
      const all = writeTradeoff(out, entries);
      print(
        `${entries.length} entries of ${names.length === 1 ? "one sweep" : `${names.length} sweeps`} are in ${out}, ${all} in all.`,
      );
    });
}
