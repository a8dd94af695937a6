// A week of a daily series from the weeks before: node examples/forecaster.mjs
import assert from "node:assert/strict";
import { forecaster, gru, RandomStream } from "gatesieve";

// Two years of visitors a day: more at the week's end, more in summer, and some chance.
const random = new RandomStream(1, "visitors");
const visitors = (day) => {
  const weekend = day % 7 >= 5 ? 60 : 0;
  return 200 + weekend + 80 * Math.sin((2 * Math.PI * day) / 365) + 10 * random.normal();
};
const series = Array.from({ length: 730 }, (_, day) => visitors(day));
const known = series.slice(0, 700);

const model = await forecaster(gru({ hiddenSize: 16, dropout: 0.2 })).fit(known, {
  horizon: 7,
  period: 7, // a forecast may start from the same day a week before
  sequenceLength: 28,
  epochs: 30,
});

const week = model.predict();
console.log("day  forecast  came");
for (const [day, value] of week.entries())
  console.log(`${700 + day} ${value.toFixed(0).padStart(9)} ${series[700 + day].toFixed(0).padStart(5)}`);

// Scored on rows that it never saw, beside the forecasts that need no net.
const { scores } = await model.evaluate(series.slice(700 - 28));
const { mae, naiveMae, seasonalNaiveMae } = scores;
console.log(`mean absolute error ${mae.toFixed(1)}; of the last day's value ${naiveMae.toFixed(1)},`);
console.log(`of the value a week before ${seasonalNaiveMae.toFixed(1)}`);
assert(week.length === 7 && mae < seasonalNaiveMae, "the week before is as good");

// Day by day: each value in, the next week out.
const stream = model.stream();
for (const value of known) stream.push(value);
const [next] = stream.push(series[700]);
assert(Math.abs(next - series[701]) < 60);
