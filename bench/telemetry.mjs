/**
 * What telemetry costs: in one process, step by step in turns, a plain step, a sampled one and one with
 * the fidelity probe; and what that comes to per step at the default intervals.
 */
import { loadConfig } from "../dist/runs/config.js";
import { Telemetry } from "../dist/train/telemetry.js";
import { formatTable, median } from "./numbers.mjs";
import { loadEngine, makeOurs, VERSION } from "./ours.mjs";

export async function telemetryCost({ workloadName, workload, engineName, policy, steps }) {
  const engine = await loadEngine(engineName);
  const ours = makeOurs(engine, workload, policy);
  const { trainer } = ours;
  const kinds = {
    plain: undefined,
    sampled: new Telemetry(trainer, { telemetryEverySteps: 1, probeEverySteps: 0 }),
    probed: new Telemetry(trainer, { telemetryEverySteps: 1, probeEverySteps: 1 }),
  };
  const step = trainer.step.bind(trainer);
  let telemetry;
  let bytes = 0;
  trainer.step = () => {
    telemetry?.before();
    const report = step();
    if (telemetry) bytes = JSON.stringify(telemetry.after()).length;
    return report;
  };
  const times = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
  for (let round = -3; round < steps; round++)
    for (const kind of Object.keys(kinds)) {
      telemetry = kinds[kind];
      const began = performance.now();
      ours.step();
      if (round >= 0) times[kind].push(performance.now() - began);
    }
  const [plainMs, sampledMs, probedMs] = Object.values(times).map(median);
  const { telemetryEverySteps, probeEverySteps } = loadConfig().train;
  const samples = 1 / telemetryEverySteps - 1 / probeEverySteps; // those without a probe, of one step
  const extraMs = (sampledMs - plainMs) * samples + (probedMs - plainMs) / probeEverySteps;
  return {
    ...{ workload: workloadName, policy, engine: engine.name, isa: engine.isa, threads: 1, steps, version: VERSION },
    ...{ plainMs, sampledMs, probedMs, telemetryEverySteps, probeEverySteps, bytes },
    costShare: extraMs / plainMs,
    date: new Date().toISOString().slice(0, 10),
  };
}

export function printTelemetryCost(rows) {
  const ms = (value) => value.toFixed(2);
  const [{ telemetryEverySteps, probeEverySteps }] = rows;
  console.log(
    formatTable(
      [
        "",
        "step, ms",
        "sampled",
        "with probe",
        "a sample, KB",
        `each ${telemetryEverySteps} / ${probeEverySteps} steps`,
      ],
      rows.map((row) => [
        `${row.workload} ${row.policy}, ${row.engine} ${row.isa}`,
        ...[ms(row.plainMs), ms(row.sampledMs), ms(row.probedMs), (row.bytes / 1024).toFixed(1)],
        `+${(100 * row.costShare).toFixed(2)} %`,
      ]),
    ),
  );
}
