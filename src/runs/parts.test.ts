/** From a configuration to a model: what only shows when both the task and the model are known. */
import { expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { jsEngine } from "../kernels/js.ts";
import { loadConfig } from "./config.ts";
import { makeModel, makeTask } from "./parts.ts";
import { loadTexts } from "./text.ts";

const model = (...overrides: string[]) => {
  const config = loadConfig({ overrides: ["engine=js", "model.hiddenSize=4", ...overrides] });
  const inputs = config.task.text === undefined ? {} : { text: loadTexts(config.task) };
  return makeModel(config, makeTask(config, inputs), jsEngine, 6, 2);
};

test("a bidirectional model is made for tasks that do not ask for the next position, and refused for others", () => {
  const sites = model("task.name=adding", "model.bidirectional=true", "model.cell=gru").sites;
  expect(sites.map(({ site }) => site.name)).toEqual(["gru.l0", "gru.l0.reverse", "gru.l1", "gru.l1.reverse"]);
  const refused = () => model("task.name=character", "model.bidirectional=true");
  expect(refused).toThrow(UsageError);
  expect(refused).toThrow(/^model\.bidirectional: task character asks for the next position[^\n]*$/);
});
