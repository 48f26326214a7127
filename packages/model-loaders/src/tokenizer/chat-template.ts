import * as library from '@huggingface/jinja';
import { InvalidArgumentError, LbsError, UnsupportedError } from '@lbs/format';

/** A message of a chat. Templates read further fields, such as `tool_calls`. */
export interface ChatMessage {
  /** Mostly `system`, `user`, `assistant` or `tool`. */
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** What a template is given beside the messages. */
export interface ChatTemplateOptions {
  /** Ends the text where the answer of the model begins. Default false. */
  readonly addGenerationPrompt?: boolean;
  /** Functions that the model may call, as JSON schemas. */
  readonly tools?: readonly object[];
  /** Further variables of the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A template longer than this is no chat template: published ones have up to 20 kB. */
const MAX_TEMPLATE_CHARACTERS = 2 ** 20;
/** A text of this length fits no context. */
const MAX_TEXT_CHARACTERS = 2 ** 22;
/** Longest list that `range` makes. */
const MAX_RANGE = 2 ** 16;
/** A chat of a thousand messages takes about a tenth of it; a template that takes all has computed for seconds. */
const MAX_STEPS = 2 ** 20;
/** Characters of a text, and elements of a list, that count as a step when they are computed. */
const CHARACTERS_PER_STEP = 64;
const ELEMENTS_PER_STEP = 8;

/** A part of a template. Of a loop, `iterable` is what it goes through, or a choice among the elements of `lhs`. */
interface Statement {
  readonly type: string;
  readonly iterable?: Statement & { readonly lhs?: Statement };
}

/** A computed value, as the library has them. */
interface RuntimeValue {
  readonly type: string;
  readonly value: unknown;
}

/** What the library's declarations lose under Node's module resolution: they name files without their ends. */
const { Environment, Interpreter, parse, tokenize } = library as unknown as {
  readonly Environment: new () => { set(name: string, value: unknown): void };
  readonly Interpreter: new (
    environment: object,
  ) => {
    evaluate(statement: Statement, environment: unknown): RuntimeValue;
    run(program: unknown): RuntimeValue;
  };
  readonly parse: (tokens: unknown) => unknown;
  readonly tokenize: (template: string, options: object) => unknown;
};

/**
 * The library's interpreter knows no limits, and templates come with models from strangers: this one counts what it computes. A
 * recursion without end runs out of stack, which is an error too.
 */
class BoundedInterpreter extends Interpreter {
  private steps = 0;
  private readonly iterables = new Set<Statement>();

  override evaluate(statement: Statement, environment: unknown): RuntimeValue {
    if (statement?.type === 'For' && statement.iterable) {
      this.iterables.add(statement.iterable);
      if (statement.iterable.lhs) this.iterables.add(statement.iterable.lhs);
    }
    const result = super.evaluate(statement, environment);
    const { value } = result;
    const length = Array.isArray(value) || typeof value === 'string' ? value.length : 0;
    // Every round of a loop is a step, whatever it computes.
    const each = this.iterables.has(statement)
      ? 1
      : Array.isArray(value)
        ? ELEMENTS_PER_STEP
        : CHARACTERS_PER_STEP;
    this.steps += 1 + length / each;
    if (length > MAX_TEXT_CHARACTERS)
      throw new Error(`the text is longer than the limit of ${MAX_TEXT_CHARACTERS} characters`);
    if (this.steps > MAX_STEPS) throw new Error(`it takes more than the limit of ${MAX_STEPS} steps`);
    return result;
  }
}

function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(Math.ceil((stop - start) / step), 0);
  if (!(length <= MAX_RANGE)) throw new Error(`range() is longer than the limit of ${MAX_RANGE}`);
  return Array.from({ length }, (_, i) => start + i * step);
}

/** Makes the text of a chat. */
export type ChatRenderer = (messages: readonly ChatMessage[], options?: ChatTemplateOptions) => string;

/**
 * A renderer of a template in Jinja, as `apply_chat_template` of transformers renders it. The template is parsed when it
 * is used first. The renderer throws UnsupportedError where the template cannot be read, and InvalidArgumentError where it refuses the
 * messages or goes beyond its limits.
 */
export function createChatRenderer(
  template: string,
  specialTokens: Readonly<Record<string, string>>,
  file: string,
): ChatRenderer {
  let program: unknown;
  const parsed = () => {
    if (template.length > MAX_TEMPLATE_CHARACTERS)
      throw new Error(`${template.length} characters are above the limit of ${MAX_TEMPLATE_CHARACTERS}`);
    // As transformers sets Jinja up.
    return parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
  };
  return (messages, { addGenerationPrompt = false, tools, variables } = {}) => {
    try {
      program ??= parsed();
    } catch (cause) {
      throw new UnsupportedError(
        `the chat template cannot be read (${(cause as Error).message.slice(0, 200)})`,
        {
          file,
          mend: 'Give the text of the chat as a prompt.',
          cause,
        },
      );
    }
    const environment = new Environment();
    const globals = {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range: boundedRange,
      raise_exception(message: unknown) {
        throw new Error(String(message));
      },
      strftime_now: (format: string) => formatTime(new Date(), format),
      ...specialTokens,
      messages,
      add_generation_prompt: addGenerationPrompt,
      tools: tools ?? null,
      documents: null,
      ...variables,
    };
    try {
      for (const [name, value] of Object.entries(globals)) environment.set(name, value);
      return String(new BoundedInterpreter(environment).run(program).value);
    } catch (cause) {
      if (LbsError.isInstance(cause)) throw cause;
      throw new InvalidArgumentError(
        `the chat template refuses the messages (${(cause as Error).message.slice(0, 200)})`,
        { file, mend: 'Give the roles that the template knows, or the text of the chat as a prompt.', cause },
      );
    }
  };
}

/** `strftime` of the conversions that chat templates write dates with. */
function formatTime(date: Date, format: string): string {
  const name = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-US', options).format(date);
  const two = (value: number) => String(value).padStart(2, '0');
  const conversions: Readonly<Record<string, () => string>> = {
    a: () => name({ weekday: 'short' }),
    A: () => name({ weekday: 'long' }),
    b: () => name({ month: 'short' }),
    B: () => name({ month: 'long' }),
    d: () => two(date.getDate()),
    m: () => two(date.getMonth() + 1),
    y: () => two(date.getFullYear() % 100),
    Y: () => String(date.getFullYear()),
    H: () => two(date.getHours()),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    '%': () => '%',
  };
  return format.replace(/%([a-zA-Z%])/g, (whole, letter: string) => conversions[letter]?.() ?? whole);
}

/** The template among those of a tokenizer_config.json, where they may have names: for `tools` the one that is made for them. */
export function chatTemplateOf(field: unknown, withTools: boolean): string | undefined {
  if (typeof field === 'string') return field;
  if (!Array.isArray(field)) return undefined;
  const named = new Map(field.map((entry) => [entry?.name, entry?.template]));
  const chosen = (withTools ? named.get('tool_use') : undefined) ?? named.get('default');
  return typeof chosen === 'string' ? chosen : undefined;
}
