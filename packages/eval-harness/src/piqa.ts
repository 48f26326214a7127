import { type MultipleChoiceTask, malformed, parseLines } from './task.js';

/**
 * PIQA (Bisk et al. 2020) from its published files, with lm-eval's prompt: "Question: {goal}\nAnswer:" and the two
 * solutions as choices.
 *
 * @param items `{ goal, sol1, sol2 }` a line (valid.jsonl).
 * @param labels 0 or 1 a line (valid-labels.lst).
 */
export function piqaTask(items: string, labels: string): MultipleChoiceTask {
  const golds = labels.trim().split(/\s+/).map(Number);
  const lines = parseLines(items, 'piqa');
  if (golds.length !== lines.length)
    throw malformed(`piqa has ${lines.length} items and ${golds.length} labels`);
  return {
    kind: 'multiple_choice',
    task: 'piqa',
    version: 1,
    description: 'Physical commonsense: which of two solutions reaches the goal?',
    targetDelimiter: ' ',
    items: lines.map(({ goal, sol1, sol2 }, index) => {
      const gold = golds[index]!;
      if (typeof goal !== 'string' || typeof sol1 !== 'string' || typeof sol2 !== 'string')
        throw malformed(`piqa, line ${index + 1}: "goal", "sol1" and "sol2" must be strings`);
      if (gold !== 0 && gold !== 1) throw malformed(`piqa, label ${index + 1} is neither 0 nor 1`);
      return { context: `Question: ${goal}\nAnswer:`, choices: [sol1, sol2], gold };
    }),
  };
}
