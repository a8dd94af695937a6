/** The table of tasks: a new task is one file and one line here. */
import { check, choose } from "../core/check.ts";
import { addingTask } from "./adding.ts";
import { characterTask } from "./character.ts";
import { delayTask } from "./delay.ts";
import type { Task } from "./task.ts";

export interface TaskOptions {
  /** The text itself, for tasks on text. */
  readonly text?: string | undefined;
  /** What to call the text in messages. */
  readonly textName?: string | undefined;
  /** Columns of a trained embedding of input tokens; 0: one-hot. */
  readonly embedding?: number | undefined;
  /** Task delay: how far to look back. */
  readonly delay?: number | undefined;
  /** Tasks on text: use this vocabulary instead of the text's own. */
  readonly vocabulary?: readonly string[] | undefined;
}

export interface TaskEntry {
  readonly summary: string;
  /** Whether it needs `text`. */
  readonly onText: boolean;
  create(options: TaskOptions): Task;
}

export const TASKS = ["character", "adding", "delay"] as const;
export type TaskName = (typeof TASKS)[number];

export const tasks: Readonly<Record<TaskName, TaskEntry>> = {
  character: {
    summary: "predict the next character of a text",
    onText: true,
    create({ text, textName = "text", embedding, vocabulary }) {
      check(text !== undefined, "task character needs a text.");
      return characterTask({ text, name: textName, embedding, vocabulary });
    },
  },
  adding: { summary: "add the two marked numbers of a sequence", onText: false, create: addingTask },
  delay: { summary: "name the token seen a while ago", onText: false, create: delayTask },
};

/** A task by name. Errors list the choices. */
export function createTask(name: string, options: TaskOptions = {}): Task {
  return choose("task", name, tasks).create(options);
}
