/**
 * One tool in a process of its own, driven by the parent with lines of JSON:
 *
 *   argv     tool, workload, options { seed, threads, engine, policy, warmSteps, warmMs }
 *   answers  { skipped: reason }, and ends, if the tool cannot do this workload
 *   answers  { tool, version, engine, isa, threads, warmMs } once warm
 *   stdin    { steps } runs a round: one discarded step, then `steps` timed ones
 *   answers  { samples: [{ ms, cpuMs, ... }], loss, rssMiB }
 */
import { createInterface } from "node:readline";
import { peakRssMiB } from "./numbers.mjs";

const LONGEST_WARM_UP_MS = 60_000;

const [tool, workload, options] = [process.argv[2], JSON.parse(process.argv[3]), JSON.parse(process.argv[4])];
console.log = console.error; // stdout belongs to the answers; libraries greet on it

const peer = { tfjs: "./peers/tfjs.mjs", "jax-js": "./peers/jax.mjs" }[tool];
const { start, whyNot } = peer ? await import(peer) : { start: startOurs };
const reason = whyNot?.(workload);
if (reason) {
  answer({ skipped: reason });
  process.exit();
}
const runner = await start(workload, options);
const began = performance.now();
const elapsed = () => performance.now() - began;
let warm = await timed();
for (let i = 1; (i < options.warmSteps && elapsed() < LONGEST_WARM_UP_MS) || elapsed() < options.warmMs; i++)
  warm = await timed();
const { version, engine, isa, threads } = runner;
answer({ tool, version, engine, isa, threads, warmMs: warm.ms, ...runner.extra?.() });

for await (const line of createInterface({ input: process.stdin })) {
  const { steps } = JSON.parse(line);
  await timed(); // the round before this one was another process's
  const samples = [];
  for (let i = 0; i < steps; i++) samples.push(await timed());
  answer({ samples, loss: samples.at(-1).loss, rssMiB: peakRssMiB() });
}

async function startOurs() {
  const { keptShare, loadEngine, makeFromRun, makeOurs, VERSION } = await import("./ours.mjs");
  const threads = options.engine === "js" ? 1 : options.threads; // js runs one
  const engine = await loadEngine(options.engine, threads);
  const { model, trainer, step } = workload.run
    ? await makeFromRun(engine, workload.run, options.policy, options)
    : makeOurs(engine, workload, options.policy, options);
  return {
    version: VERSION,
    engine: engine.name,
    isa: engine.isa,
    threads,
    step: () => step().loss,
    extra: () => ({
      arenaMiB: model.arena.memory.buffer.byteLength / 2 ** 20,
      memory: model.arena.bytesByPurpose(),
    }),
    sample() {
      const { forwardMs, backwardMs, updateMs } = trainer.report;
      let executed = 0;
      for (const product of model.macs) executed += product.executed;
      return {
        forwardMs,
        backwardMs,
        updateMs,
        density: keptShare(model) ?? null,
        gflopExecuted: (2 * executed) / 1e9,
      };
    },
  };
}

async function timed() {
  const cpu = process.cpuUsage();
  const began = performance.now();
  const loss = await runner.step();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000, loss, ...runner.sample?.() };
}

function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
