import { describe, expect, it } from 'vitest';
import { parseMultipleChoiceTask, piqaTask } from './index.js';

const declaration = '{ "task": "toy", "version": 2, "description": "A toy.", "items": "toy.jsonl" }';
const item = '{ "context": "a", "choices": ["b", "c"], "gold": 1 }';

describe('parseMultipleChoiceTask', () => {
  it('reads a declaration and its items', () => {
    expect(parseMultipleChoiceTask(declaration, `${item}\n${item}\n`)).toEqual({
      kind: 'multiple_choice',
      task: 'toy',
      version: 2,
      description: 'A toy.',
      targetDelimiter: ' ',
      items: Array(2).fill({ context: 'a', choices: ['b', 'c'], gold: 1 }),
    });
  });

  it('lets the declaration choose the delimiter', () => {
    const own = '{ "task": "toy", "version": 1, "targetDelimiter": "" }';
    expect(parseMultipleChoiceTask(own, item).targetDelimiter).toBe('');
  });

  it.each([
    ['{ "task": "toy" }', item, /"version"/],
    ['[]', item, /declaration is not an object/],
    [declaration, '\n', /toy has no items/],
    [declaration, `${item}\n{`, /toy, line 2 is not JSON/],
    [declaration, `${item}\n7`, /toy, line 2 is not an object/],
    [declaration, '{ "choices": ["b", "c"], "gold": 1 }', /line 1: "context"/],
    [declaration, '{ "context": "a", "choices": ["b"], "gold": 0 }', /line 1: "choices"/],
    [declaration, '{ "context": "a", "choices": ["b", ""], "gold": 0 }', /line 1: "choices"/],
    [declaration, '{ "context": "a", "choices": ["b", "c"], "gold": 2 }', /line 1: "gold".* 2 choices/],
    [declaration, '{ "context": "a", "choices": ["b", "c"], "gold": "1" }', /line 1: "gold"/],
  ])('names what is wrong with %s and %s', (text, items, message) => {
    expect(() => parseMultipleChoiceTask(text, items)).toThrowError(
      expect.objectContaining({ code: 'LBS_EVAL_MALFORMED_TASK', message: expect.stringMatching(message) }),
    );
  });
});

describe('piqaTask', () => {
  const items = [
    '{ "goal": "Open a jar.", "sol1": "Turn the lid.", "sol2": "Sing." }',
    '{ "goal": "Sleep", "sol1": "Run.", "sol2": "Lie down." }',
  ].join('\n');

  it("makes lm-eval's prompt", () => {
    const task = piqaTask(items, '0\n1\n');
    expect(task).toMatchObject({ task: 'piqa', version: 1, targetDelimiter: ' ' });
    expect(task.items).toEqual([
      { context: 'Question: Open a jar.\nAnswer:', choices: ['Turn the lid.', 'Sing.'], gold: 0 },
      { context: 'Question: Sleep\nAnswer:', choices: ['Run.', 'Lie down.'], gold: 1 },
    ]);
  });

  it.each([
    [items, '0\n', /2 items and 1 labels/],
    [items, '0\n2\n', /label 2 is neither/],
    ['{ "goal": "Open a jar." }', '0', /line 1: "goal"/],
  ])('refuses files that do not fit each other', (text, labels, message) => {
    expect(() => piqaTask(text, labels)).toThrowError(message);
  });
});
