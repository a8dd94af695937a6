// Hours of a machine's temperature that do not fit the hours before: node examples/anomalies.mjs
import assert from "node:assert/strict";
import { forecaster, gru, RandomStream } from "gatesieve";

// A daily wave and some chance; four hours at which the sensor was wrong, within the range of good values.
const random = new RandomStream(1, "temperature");
const temperature = (hour) => 60 + 12 * Math.sin((2 * Math.PI * hour) / 24) + random.normal();
const known = Array.from({ length: 1200 }, (_, hour) => temperature(hour));
const later = Array.from({ length: 400 }, (_, hour) => temperature(1200 + hour));
const faults = [70, 151, 233, 318];
for (const hour of faults) later[hour] = 120 - later[hour];

const model = await forecaster(gru({ hiddenSize: 16 })).fit(known, { sequenceLength: 24, epochs: 12 });

const rows = await model.anomalies(later, { normal: known, rate: 0.002 });
for (const { index, actual, expected, score } of rows.filter(({ anomaly }) => anomaly))
  console.log(`hour ${index}: ${actual.toFixed(1)}, expected ${expected.toFixed(1)}, score ${score.toFixed(1)}`);

const found = new Set(rows.filter(({ anomaly }) => anomaly).map(({ index }) => index));
assert(
  faults.every((hour) => found.has(hour)),
  "a fault was not seen",
);
assert(found.size < 24, "too many alarms");
