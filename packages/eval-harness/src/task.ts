import { EvaluationError } from './errors.js';

/** One question: which of the choices continues the context? */
export interface MultipleChoiceItem {
  readonly context: string;
  /** Two or more texts, without the delimiter that stands between context and choice. */
  readonly choices: readonly string[];
  /** Index of the right choice. */
  readonly gold: number;
}

/** A multiple-choice task: nothing but data. */
export interface MultipleChoiceTask {
  readonly kind: 'multiple_choice';
  readonly task: string;
  /** Raised whenever results stop being comparable. */
  readonly version: number;
  readonly description: string;
  /**
   * Put between context and choice; a space unless the declaration says otherwise (lm-eval's
   * target_delimiter).
   */
  readonly targetDelimiter: string;
  readonly items: readonly MultipleChoiceItem[];
}

/** A prompt whose greedy continuation must equal one of the answers. */
export interface GenerationItem {
  readonly context: string;
  readonly answers: readonly string[];
}

/** A task whose answers the model writes. */
export interface GenerationTask {
  readonly kind: 'generate_until';
  readonly task: string;
  readonly version: number;
  readonly description: string;
  /** Texts before which the generation stops. */
  readonly until: readonly string[];
  readonly maximumTokens: number;
  readonly items: readonly GenerationItem[];
}

/** A task of either kind. */
export type Task = MultipleChoiceTask | GenerationTask;

/** What a task's JSON file says; `items` names the JSONL file beside it. */
export interface MultipleChoiceDeclaration {
  readonly task: string;
  readonly version: number;
  readonly description: string;
  readonly items: string;
  readonly targetDelimiter?: string;
}

/**
 * Reads a multiple-choice task from its declaration (JSON text) and its items (JSONL text: `{ context,
 * choices, gold }` a line). Throws EvaluationError LBS_EVAL_MALFORMED_TASK that names the line.
 */
export function parseMultipleChoiceTask(declaration: string, items: string): MultipleChoiceTask {
  const { task, version, description, targetDelimiter } = parseJson(declaration, 'the declaration');
  if (typeof task !== 'string' || typeof version !== 'number')
    throw malformed('the declaration needs "task" (a string) and "version" (a number)');
  return {
    kind: 'multiple_choice',
    task,
    version,
    description: typeof description === 'string' ? description : '',
    targetDelimiter: typeof targetDelimiter === 'string' ? targetDelimiter : ' ',
    items: parseLines(items, task).map((item, index) => checkItem(item, `${task}, line ${index + 1}`)),
  };
}

/**
 * The objects of a JSONL text. Throws EvaluationError LBS_EVAL_MALFORMED_TASK when there are none, or one is
 * broken.
 */
export function parseLines(text: string, task: string): Record<string, unknown>[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) throw malformed(`${task} has no items`);
  return lines.map((line, index) => parseJson(line, `${task}, line ${index + 1}`));
}

function checkItem(item: Record<string, unknown>, where: string): MultipleChoiceItem {
  const { context, choices, gold } = item;
  if (typeof context !== 'string') throw malformed(`${where}: "context" is not a string`);
  if (
    !Array.isArray(choices) ||
    choices.length < 2 ||
    !choices.every((choice) => typeof choice === 'string' && choice)
  )
    throw malformed(`${where}: "choices" is not a list of two or more texts`);
  if (typeof gold !== 'number' || !Number.isInteger(gold) || gold < 0 || gold >= choices.length)
    throw malformed(`${where}: "gold" is not the index of one of the ${choices.length} choices`);
  return { context, choices, gold };
}

function parseJson(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed(`${where} is not JSON`, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${where} is not an object`);
  return value as Record<string, unknown>;
}

export function malformed(problem: string, cause?: unknown): EvaluationError {
  return new EvaluationError(
    'LBS_EVAL_MALFORMED_TASK',
    `Malformed task: ${problem}.`,
    cause === undefined ? undefined : { cause },
  );
}
