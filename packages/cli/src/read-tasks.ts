import { dirname, join } from 'node:path';
import { parseMultipleChoiceTask, piqaTask, type Task } from '@lbs/eval-harness';
import { InvalidArgumentError, MalformedFileError } from '@lbs/format';
import { readText } from './read-text.js';

/** Tasks whose data has a published form of its own, by name. */
const namedTasks: Readonly<Record<string, (directory: string) => Promise<Task>>> = {
  piqa: async (directory) =>
    piqaTask(
      await readText(join(directory, 'piqa-valid.jsonl')),
      await readText(join(directory, 'piqa-valid-labels.lst')),
    ),
};

/** Reads tasks: names, with their data in `directory`, or JSON files that declare one and name its items. */
export function readTasks(list: readonly string[], directory: string): Promise<Task[]> {
  return Promise.all(
    list.map((entry) => {
      if (Object.hasOwn(namedTasks, entry)) return namedTasks[entry]!(directory);
      if (entry.endsWith('.json')) return readDeclaredTask(entry);
      throw new InvalidArgumentError(`unknown task "${entry}"`, {
        mend: `Known: ${Object.keys(namedTasks).join(', ')}; or name a JSON file that declares a task.`,
      });
    }),
  );
}

async function readDeclaredTask(file: string): Promise<Task> {
  const declaration = await readText(file);
  let items: unknown;
  try {
    items = JSON.parse(declaration).items;
  } catch (cause) {
    throw new MalformedFileError('the task is not JSON', { file, cause });
  }
  if (typeof items !== 'string') {
    throw new MalformedFileError('the task does not name its "items"', {
      file,
      mend: 'Add "items": "FILE.jsonl".',
    });
  }
  return parseMultipleChoiceTask(declaration, await readText(join(dirname(file), items)));
}
