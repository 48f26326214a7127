import { describe, expect, it } from 'vitest';
import { bigramModel } from './fixtures/toy-models.js';
import {
  type EvaluatedModel,
  evaluateTasks,
  type GenerateOptions,
  type GenerationTask,
  type MultipleChoiceTask,
  type TaskProgress,
} from './index.js';

const model = bigramModel([
  [1, 0],
  [0, 1],
]);
const choice: MultipleChoiceTask = {
  kind: 'multiple_choice',
  task: 'toy',
  version: 3,
  description: 'A toy.',
  targetDelimiter: '',
  items: [
    { context: 'a', choices: ['a', 'b'], gold: 0 },
    { context: 'b', choices: ['a', 'b'], gold: 1 },
    { context: 'b', choices: ['a', 'b'], gold: 0 },
  ],
};
const generation: GenerationTask = {
  kind: 'generate_until',
  task: 'writing',
  version: 1,
  description: '',
  until: ['\n'],
  maximumTokens: 8,
  items: [
    { context: 'ab', answers: ['two'] },
    { context: 'a', answers: ['two', 'three'] },
  ],
};
const writer: EvaluatedModel = {
  ...model,
  generate: async (tokens: readonly number[], options: GenerateOptions) =>
    tokens.length === 2 && options.stop[0] === '\n' && options.maxTokens === 8
      ? { text: ' two ' }
      : { text: 'four' },
};

describe('evaluateTasks', () => {
  it("reports in lm-eval's results schema", async () => {
    const report = await evaluateTasks(writer, [choice, generation], {
      modelName: 'hub/tiny model',
      modelArguments: { format: 'lbs-b4s2g16' },
    });
    expect(report).toMatchObject({
      results: {
        toy: { name: 'toy', alias: 'toy', sample_len: 3, 'acc,none': 2 / 3, 'acc_norm,none': 2 / 3 },
        writing: { alias: 'writing', 'exact_match,none': 0.5, 'exact_match_stderr,none': 0.5 },
      },
      group_subtasks: { toy: [], writing: [] },
      versions: { toy: 3, writing: 1 },
      'n-shot': { toy: 0, writing: 0 },
      'n-samples': { toy: { original: 3, effective: 3 }, writing: { original: 2, effective: 2 } },
      higher_is_better: { toy: { acc: true, acc_norm: true }, writing: { exact_match: true } },
      configs: {
        toy: { task: 'toy', output_type: 'multiple_choice', num_fewshot: 0, metadata: { version: 3 } },
        writing: { output_type: 'generate_until', generation_kwargs: { until: ['\n'], max_gen_toks: 8 } },
      },
      config: { model_args: { format: 'lbs-b4s2g16' }, limit: null },
      max_length: 64,
      model_name: 'hub/tiny model',
      model_name_sanitized: 'hub__tiny model',
    });
    expect(report.results['toy']!['acc_stderr,none']).toBeCloseTo(Math.sqrt(2 / 9 / 2), 12);
    expect(report.task_hashes['toy']).toMatch(/^[0-9a-f]{64}$/);
    expect(Math.abs(report.date - Date.now() / 1000)).toBeLessThan(60);
    expect(Number(report.total_evaluation_time_seconds)).toBeGreaterThanOrEqual(0);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('knows no error of a single item', async () => {
    const report = await evaluateTasks(model, [choice], { limit: 1 });
    expect(report.results['toy']).toEqual({
      name: 'toy',
      alias: 'toy',
      sample_len: 1,
      'acc,none': 1,
      'acc_stderr,none': 'N/A',
      'acc_norm,none': 1,
      'acc_norm_stderr,none': 'N/A',
    });
    expect(report['n-samples']['toy']).toEqual({ original: 3, effective: 1 });
    expect(report.config.limit).toBe(1);
  });

  it('names the task in its progress', async () => {
    const events: TaskProgress[] = [];
    await evaluateTasks(writer, [choice, generation], { onProgress: (event) => events.push(event) });
    expect(events.map(({ task, completed, total }) => `${task} ${completed}/${total}`)).toEqual([
      'toy 1/3',
      'toy 2/3',
      'toy 3/3',
      'writing 1/2',
      'writing 2/2',
    ]);
  });

  it('refuses the same task twice, and a generation task without generate', async () => {
    await expect(evaluateTasks(model, [choice, choice])).rejects.toMatchObject({
      code: 'LBS_EVAL_INVALID_OPTION',
    });
    await expect(evaluateTasks(model, [generation])).rejects.toMatchObject({
      code: 'LBS_EVAL_UNSUPPORTED_TASK',
    });
  });

  it('stops when aborted', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(evaluateTasks(writer, [generation], { signal })).rejects.toThrow('enough');
    await expect(evaluateTasks(writer, [choice], { signal })).rejects.toThrow('enough');
  });
});
